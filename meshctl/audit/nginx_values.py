"""Words and values in NGINX's file that undo what stands around them when they are others."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache

from meshctl.audit.expectations import SAFE_SUITES, Versions, outside, untrusted, within
from meshctl.audit.nginx_text import Directive
from meshctl.audit.violations import Invariant, Violation
from meshctl.audit.words import NGINX_DIRECTIVES
from meshctl.ir import Sidecar, TlsVersion
from meshctl.ir.mesh import IDENTITY_HEADER

Words = tuple[str, ...]

_MODULES = "/usr/lib/nginx/modules/"
_FIXED: Mapping[str, frozenset[str]] = {
    "load_module": frozenset(
        _MODULES + each
        for each in (
            *("ndk_http_module.so", "ngx_http_lua_module.so"),
            *("ngx_stream_module.so", "ngx_stream_js_module.so"),
        )
    ),
    "js_import": frozenset(f"{each} from {each}.js" for each in ("mtls", "http2", "doorway")),
    "js_set": frozenset(
        ("$caller_subject mtls.subject", "$spoken http2.spoken", "$comes_in_by doorway.socket")
    ),
    "js_preread": frozenset(("http2.look", "doorway.requests", "doorway.stream")),
    "lua_package_path": frozenset(("${prefix}?.lua;;",)),
    "merge_slashes": frozenset(("off",)),
    "underscores_in_headers": frozenset(("on",)),
    "ignore_invalid_headers": frozenset(("off",)),
    "ssl_session_cache": frozenset(("off",)),
    "ssl_session_tickets": frozenset(("off",)),
    "ssl_early_data": frozenset(("off",)),
    "ssl_verify_depth": frozenset(("2",)),
    "ssl_verify_client": frozenset(("on", "off")),
    "set_real_ip_from": frozenset(("unix:",)),
    "real_ip_header": frozenset(("proxy_protocol", "x-mesh-source")),
    "proxy_pass_request_headers": frozenset(("on",)),
    "proxy_cache": frozenset(("off",)),
    "proxy_store": frozenset(("off",)),
    "client_body_temp_path": frozenset(("../run/body",)),
    "pid": frozenset(("../run/nginx.pid",)),
    "error_page": frozenset(
        (
            *("495 496 497 = @refuse", "502 = @no_answer_502", "504 = @no_answer_504", "425 = $again"),
            *("502 504 = @unreachable", "599 = $health", "599 = $leads_to", "599 = $leads_to_try"),
            *("599 = $leads_to_check", "599 = $leads_to_copy"),
        )
    ),
}
"""Directives that matter wherever they stand, with all that they may say."""

_LISTENING = frozenset(("ssl", "http2", "default_server", "proxy_protocol", "ipv6only=on"))
_PROTOCOLS = re.compile(r"(?:proxy_|grpc_)?ssl_(protocols|ciphers)")
_SETTING = frozenset(("proxy_set_header", "grpc_set_header"))
_BLOCKS = frozenset(("http", "stream", "events", "upstream", "server", "location", "if"))
_PLAIN = frozenset(
    each
    for each in NGINX_DIRECTIVES - {*_FIXED, *_SETTING, *_BLOCKS}
    if each != "listen" and not _PROTOCOLS.fullmatch(each)
)
"""Directives of which nothing is asked but that they are known."""


def audit(sidecar: Sidecar, root: Directive) -> Iterator[Violation]:
    """What meshctl does not write: directives, and values of those that matter wherever they stand."""
    mesh = within(sidecar)
    anywhere = mesh | outside(sidecar)
    for part in root.block or ():
        yield from _one(part, mesh)
        for each in _asked(part):
            # What holds for the mesh stands outside of all servers; those for the world say theirs.
            yield from _one(each, mesh)
            for inside in _asked(each):
                yield from _values(inside, anywhere)


def _asked(directive: Directive) -> list[Directive]:
    return [each for each in directive.block or () if each.words[0] not in _PLAIN]


def _values(directive: Directive, allowed: Collection[Versions]) -> Iterator[Violation]:
    yield from _one(directive, allowed)
    for each in _asked(directive):
        yield from _values(each, allowed)


def _one(directive: Directive, allowed: Collection[Versions]) -> Iterator[Violation]:
    name, *rest = directive.words
    if name in _BLOCKS and directive.block is not None:
        return
    yield from _wrong(directive.words)
    if found := _PROTOCOLS.fullmatch(name):
        test = speaks if found[1] == "protocols" else _ciphers
        if not any(test(rest, each) for each in allowed):
            end = Invariant.CLIENT_CERTIFICATE if name.startswith("ssl_") else Invariant.UPSTREAM
            yield Violation(end, "nginx.conf", str(directive))


@lru_cache(maxsize=1 << 14)
def _wrong(words: Words) -> tuple[Violation, ...]:
    """Many lines are the same in many files."""
    name, *rest = words
    written = " ".join(words)
    unknown = name not in NGINX_DIRECTIVES
    changed = name in _FIXED and " ".join(rest) not in _FIXED[name]
    if unknown or changed or (name == "listen" and not _LISTENING.issuperset(rest[1:])):
        return (Violation(Invariant.WORDS, "nginx.conf", name if unknown else written),)
    if name in _SETTING and untrusted(rest[0]) and rest[0] != IDENTITY_HEADER:
        return (Violation(Invariant.IDENTITY_HEADERS, "nginx.conf", f"`{written}` says who calls"),)
    return ()


def speaks(said: Collection[str], wanted: Versions) -> bool:
    """Whether these are the versions, by NGINX's words."""
    known = list(TlsVersion)
    versions = known[known.index(wanted.minimum) : known.index(wanted.maximum) + 1]
    return list(said) == [f"TLSv{each}" for each in versions]


def _ciphers(said: Collection[str], wanted: Versions) -> bool:
    suites = [each for word in said for each in word.split(":")]
    return suites == [*wanted.suites] if wanted.suites else {*suites} <= SAFE_SUITES
