"""Values in Envoy's files that undo what stands around them when they are others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from meshctl.audit.expectations import SAFE_SUITES, Versions, outside, untrusted, within
from meshctl.audit.patterns import python_regex
from meshctl.audit.violations import Invariant, Violation
from meshctl.ir import InboundListener, Protocol, Sidecar
from meshctl.ir.mesh import IDENTITY_HEADER

Message = dict[str, Any]

_TYPE = "type.googleapis.com/envoy."
_HTTP = f"{_TYPE}extensions.filters.http"
_MATCHED = f"{_TYPE}extensions.common.matching.v3.ExtensionWithMatcher"
_INBOUND = {
    "path-gate": (f"{_HTTP}.rbac.v3.RBAC",),
    "header-match": (f"{_HTTP}.lua.v3.Lua",),
    "bearer": (f"{_HTTP}.lua.v3.Lua",),
    "jwt": (f"{_HTTP}.jwt_authn.v3.JwtAuthentication",),
    "denial": (f"{_HTTP}.rbac.v3.RBAC",),
    "challenge": (f"{_HTTP}.rbac.v3.RBAC",),
    "authorization": (f"{_HTTP}.rbac.v3.RBAC",),
    "forget-bearer": (f"{_HTTP}.header_mutation.v3.HeaderMutation",),
    "identity-header": (f"{_HTTP}.header_mutation.v3.HeaderMutation",),
    "exemption": (f"{_HTTP}.rbac.v3.RBAC",),
    "rate-limit": (_MATCHED, f"{_HTTP}.local_ratelimit.v3.LocalRateLimit"),
    "plain-hop-status": (_MATCHED,),
    "envoy.filters.http.router": (f"{_HTTP}.router.v3.Router",),
}
"""The filters that a request may pass on its way in, in their order."""


def filters(found: list[Message]) -> Iterator[Violation]:
    """What is wrong with the filters of requests that come in: unknown ones, one twice, another order."""
    names = [each["name"] for each in found]
    if [each for each in _INBOUND if each in names] != names:
        yield Violation(Invariant.WORDS, "inbound", f"the filters are {names}")
    for each in found:
        if each["typed_config"]["@type"] not in _INBOUND.get(each["name"], ()):
            yield Violation(Invariant.WORDS, "inbound", f"{each['name']} is another filter")


_KEY = re.compile(rb'"key":\s*"([^"\\]*)"')


def headers(sidecar: Sidecar, files: Mapping[str, bytes], told: int) -> Iterator[Violation]:
    """Whether anything but the ``told`` chains says who calls."""
    said = 0
    for path, content in files.items():
        if path.startswith("envoy/") and path.endswith(".json") and path != "envoy/check.json":
            named = [each.decode() for each in _KEY.findall(content) if _untrusted(each)]
            said += len(named)
            for each in sorted({*named} - {IDENTITY_HEADER}):
                yield Violation(Invariant.IDENTITY_HEADERS, path, f"{each} says who calls")
    if said != told:
        yield Violation(Invariant.IDENTITY_HEADERS, "lds.json", f"{said} places say who calls, not {told}")


@lru_cache(maxsize=1 << 12)
def _untrusted(name: bytes) -> bool:
    return untrusted(name.decode())


def downstream(sidecar: Sidecar, context: Message) -> Iterator[Violation]:
    """What TLS is taken, from the mesh's callers, who show a certificate, or from others."""
    allowed = (within if context.get("require_client_certificate") else outside)(sidecar)
    yield from versions("inbound", context, allowed, Invariant.CLIENT_CERTIFICATE)


def versions(
    where: str, context: Message, allowed: Iterable[Versions], invariant: Invariant = Invariant.UPSTREAM
) -> Iterator[Violation]:
    """Whether TLS is spoken as the model has it."""
    said = context["common_tls_context"]["tls_params"]
    if not any(_speaks(said, each) for each in allowed):
        yield Violation(invariant, where, f"TLS by {said}")


def _speaks(said: Message, wanted: Versions) -> bool:
    minimum, maximum = (
        f"TLSv{each.replace('.', '_')}" for each in (wanted.minimum.value, wanted.maximum.value)
    )
    if (said.get("tls_minimum_protocol_version"), said.get("tls_maximum_protocol_version")) != (
        minimum,
        maximum,
    ):
        return False
    suites = said.get("cipher_suites")
    if suites is None:
        return minimum == "TLSv1_3"
    return suites == [*wanted.suites] if wanted.suites else {*suites} <= SAFE_SUITES


def names_one(sidecar: Sidecar, inbound: InboundListener, found: Message) -> Iterator[Violation]:
    """What is wrong with the filter that reads nothing of a caller with two names."""
    domain = f"spiffe://{sidecar.identity.trust_domain}/"
    if inbound.protocol is Protocol.TCP:
        sound = found["typed_config"] == _way(f"'{inbound.application}'")
    else:
        matchers = found["typed_config"]["matcher"]["matcher_list"]["matchers"]
        test = matchers[0]["predicate"]["single_predicate"]
        expression = test["value_match"]["safe_regex"]["regex"]
        sound = _takes_one(expression, domain) and found["typed_config"] == _refusing_others(expression)
    if not sound:
        yield Violation(Invariant.CLIENT_CERTIFICATE, "inbound", "who has two names is not refused")


@lru_cache(maxsize=64)
def _takes_one(expression: str, domain: str) -> bool:
    takes = python_regex(expression).fullmatch
    others = ("", f"{domain}a,{domain}b", f"{domain}a,other", f"x{domain}a", "spiffe://other.example.test/a")
    return bool(takes(f"{domain}some-service")) and not any(map(takes, others))


def _refusing_others(expression: str) -> Message:
    uris = {
        "name": "uris",
        "typed_config": {"@type": f"{_TYPE}extensions.matching.common_inputs.ssl.v3.UriSanInput"},
    }
    one = {"input": uris, "value_match": {"safe_regex": {"regex": expression, "google_re2": {}}}}
    allowing = {"predicate": {"single_predicate": one}, "on_match": _action("one", "ALLOW")}
    return {
        "@type": f"{_TYPE}extensions.filters.network.rbac.v3.RBAC",
        "stat_prefix": "names_one",
        "matcher": {"matcher_list": {"matchers": [allowing]}, "on_no_match": _action("several", "DENY")},
        "enforcement_type": "ONE_TIME_ON_FIRST_BYTE",
    }


def _action(name: str, action: str) -> Message:
    config = {"@type": f"{_TYPE}config.rbac.v3.Action", "name": name, "action": action}
    return {"action": {"name": name, "typed_config": config}}


def _way(application: str) -> Message:
    size = "size(filter_state['meshctl.uris']) == size(connection.uri_san_peer_certificate)"
    values: tuple[tuple[str, dict[str, str], str], ...] = (
        ("meshctl.uris", {"factory_key": "envoy.string"}, "%DOWNSTREAM_PEER_URI_SAN%"),
        ("envoy.network.transport_socket.original_dst_address", {}, f"%CEL({size} ? {application} : '')%"),
    )
    return {
        "@type": f"{_TYPE}extensions.filters.network.set_filter_state.v3.Config",
        "on_downstream_tls_handshake": [
            {"object_key": key, **more, "format_string": {"text_format_source": {"inline_string": text}}}
            for key, more, text in values
        ],
    }
