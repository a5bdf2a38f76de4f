"""Reads back what NGINX will load."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from meshctl.artifacts import CERTIFICATE, REVOCATION_LISTS
from meshctl.audit import nginx_inbound, nginx_values
from meshctl.audit.expectations import (
    PLAIN,
    TRUST,
    Transport,
    destinations,
    listeners,
    outside,
    transport,
    within,
)
from meshctl.audit.nginx_text import Directive, read
from meshctl.audit.patterns import repeats_a_group
from meshctl.audit.violations import Invariant, Violation
from meshctl.ir import Sidecar

Settings = dict[str, tuple[str, ...]]

LONGEST_LOCATION = 255
"""NGINX keeps the length of a location in one byte."""


def audit(sidecar: Sidecar, files: Mapping[str, bytes]) -> Iterator[Violation]:
    """What is wrong with ``nginx.conf``."""
    text = files["nginx/nginx.conf"].decode()
    root = read(text)
    yield from nginx_values.audit(sidecar, root)
    yield from _listeners(sidecar, root)
    yield from _upstreams(sidecar, root)
    yield from _locations(root)
    if _SUSPECT.search(text) or _SUSPECT_IN_LUA.search(text):
        yield from _expressions(root)
    yield from nginx_inbound.audit(sidecar, root)


def servers(root: Directive) -> Iterator[Directive]:
    """Every server, of requests and of streams."""
    for part in root.blocks():
        yield from part.named("server")


def _listeners(sidecar: Sidecar, root: Directive) -> Iterator[Violation]:
    declared = {str(each) for each in listeners(sidecar)}
    found = set()
    for server in servers(root):
        binds = [each.words[1] for each in server.named("listen")]
        found.update(binds)
        if not binds:
            # It would be port 80 of all addresses.
            yield Violation(Invariant.LISTENERS, "nginx.conf", "a server that does not say where it listens")
        for bind in binds:
            if bind not in declared and not bind.startswith("unix:../run/"):
                yield Violation(Invariant.LISTENERS, "nginx.conf", f"{bind} is not declared")
    for missing in sorted(declared - found):
        yield Violation(Invariant.LISTENERS, "nginx.conf", f"nothing listens on {missing}")


_TLS = re.compile(r"(?:proxy|grpc)_(?:ssl_\w+|ssl|pass)")


def _upstreams(sidecar: Sidecar, root: Directive) -> Iterator[Violation]:
    """Each place that sends something on, with what it inherits."""
    plain = _plain(sidecar)
    wanted = {each for each in map(transport, sidecar.clusters) if each is not None}
    for part in root.blocks():
        for settings in _passing(part, {}, []):
            for module in ("proxy", "grpc"):
                if f"{module}_pass" in settings:
                    yield from _upstream(sidecar, module, settings, plain, wanted)


@lru_cache(maxsize=1 << 12)
def _of_tls(name: str) -> bool:
    return _TLS.fullmatch(name) is not None


_PASSES = frozenset(("proxy_pass", "grpc_pass"))
_NESTING = frozenset(("server", "location", "if", "limit_except"))


def _passing(block: Directive, outer: Settings, found: list[Settings]) -> list[Settings]:
    """``found``, and what holds at each pass in ``block``."""
    inside = block.block or ()
    own = {each.words[0]: each.words[1:] for each in inside if _of_tls(each.words[0]) and each.block is None}
    inherited = {**outer, **own} if own else outer
    if "proxy_pass" in own or "grpc_pass" in own:
        found.append(inherited)
        # A pass counts where it stands; all else goes on into blocks inside.
        inherited = {name: value for name, value in inherited.items() if name not in _PASSES}
    for each in inside:
        if each.block is not None and each.words[0] in _NESTING:
            _passing(each, inherited, found)
    return found


def _plain(sidecar: Sidecar) -> set[str]:
    """To whom nothing has to be encrypted: the application, this sidecar's own sockets, and where the model says so."""
    found = {"application", "tries", "tries_http2"}
    own = (sidecar.inbound, sidecar.health)
    found |= {str(each.application) for each in own if each is not None and each.application is not None}
    for cluster in sidecar.clusters:
        if transport(cluster) is PLAIN:
            found |= {cluster.name, *destinations(cluster)}
    return found


def _upstream(
    sidecar: Sidecar, module: str, settings: Settings, plain: set[str], wanted: set[Transport]
) -> Iterator[Violation]:
    (target,) = settings[f"{module}_pass"]
    scheme, _, rest = target.rpartition("://")
    streams = not scheme
    name = rest.partition("$")[0].rstrip(":") if streams or not rest.startswith("$") else rest
    if scheme not in ("https", "grpcs") and settings.get("proxy_ssl", ("off",)) != ("on",):
        internal = rest.startswith("unix:../run/") or (streams and rest.startswith("$"))
        if not internal and name not in plain and rest not in plain and not _a_try_of(name, plain, sidecar):
            yield Violation(Invariant.UPSTREAM, target, "no TLS")
        return
    said = {key: " ".join(settings.get(f"{module}_ssl_{key}", ())) for key in _SAID}
    verified = "" if said["name"] == "$host" else said["name"]
    if said["verify"] != "on" or said["server_name"] != "on":
        yield Violation(Invariant.UPSTREAM, target, "it is not verified")
    known = {(each.name, each.authorities) for each in wanted}
    if (verified, said["trusted_certificate"]) not in known:
        told = f"the name {verified!r} by {said['trusted_certificate'] or 'no CA'}"
        yield Violation(Invariant.UPSTREAM, target, told)
    in_mesh = said["trusted_certificate"] == TRUST
    spoken = settings.get(f"{module}_ssl_protocols", ())
    if not any(nginx_values.speaks(spoken, each) for each in (within if in_mesh else outside)(sidecar)):
        yield Violation(Invariant.UPSTREAM, target, f"it speaks {' '.join(spoken)}")
    if (said["certificate"] == f"../{CERTIFICATE}") is not in_mesh and not (streams and not in_mesh):
        yield Violation(
            Invariant.UPSTREAM, target, "the sidecar's own certificate is for the mesh, and for it alone"
        )
    if in_mesh and sidecar.tls.crl and said["crl"] != f"../{REVOCATION_LISTS}":
        yield Violation(Invariant.UPSTREAM, target, "no revocation lists")


_SAID = ("name", "verify", "server_name", "trusted_certificate", "certificate", "crl")


def _a_try_of(name: str, plain: set[str], sidecar: Sidecar) -> bool:
    """Whether it is one of the upstreams of single tries and checks, where any cluster may be spoken to so."""
    return re.fullmatch(r"(?:try|check)_\d+", name) is not None and any(
        transport(each) is PLAIN for each in sidecar.clusters
    )


_LUA_PATTERN = re.compile(r'pattern = "((?:[^"\\]|\\.)*)"')
_DECIMAL = re.compile(r"\\(\d{3})")


def _locations(root: Directive) -> Iterator[Violation]:
    for server in servers(root):
        for location in server.named("location"):
            # No character has more than four bytes.
            longest = max(location.words, key=len)
            if len(longest) > LONGEST_LOCATION // 4 and any(
                len(word.encode()) > LONGEST_LOCATION for word in location.words
            ):
                yield Violation(Invariant.LONG_LOCATION, "nginx.conf", f"location {location.words[-1][:40]}…")


# A group that is repeated, as it is written and as Lua has it. Most files have none, and need no closer look.
_SUSPECT = re.compile(r"\)(?:[*+](?!\+)|\{\d)")
_SUSPECT_IN_LUA = re.compile(r"\\041\\(?:04[23](?!\\043)|123)")


def _expressions(block: Directive) -> Iterator[Violation]:
    """Every expression that PCRE gets."""
    for each in block.block or ():
        words = each.words
        if each.block is not None:
            if words[0] in ("location", "if") and any(word.startswith("~") for word in words):
                yield from (found for word in words for found in _expression(word))
            yield from _expressions(each)
        elif each.code:
            for pattern in _LUA_PATTERN.findall(each.code):
                yield from _expression(_DECIMAL.sub(lambda digits: chr(int(digits[1])), pattern))
        elif words[0].startswith("~") or words[0] == "rewrite":
            yield from (found for word in words for found in _expression(word.lstrip("~").removeprefix("*")))
        elif words[0] == "server_name" and any(word.startswith("~") for word in words):
            yield from (found for word in words[1:] for found in _expression(word.lstrip("~")))


def _expression(pattern: str) -> Iterator[Violation]:
    if repeats_a_group(pattern):
        yield Violation(Invariant.REPEATED_GROUP, "nginx.conf", pattern)
