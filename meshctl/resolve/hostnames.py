"""Host names of routes: each leads a caller to one callee, and none pretends to be another's."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position, Related
from meshctl.resolve.routing import WILDCARD, hostnames
from meshctl.spec import Spec
from meshctl.spec.gateways import GatewaySpec


class _Claim(Struct, frozen=True):
    """A name, whose it is, and where that was written."""

    name: str
    owner: str
    at: Position | None


def check(spec: Spec) -> Iterator[Finding]:
    """Faults of every host name that a route lists."""
    claims = list(_claims(spec))
    yield from _check_own_names(spec, claims)
    yield from _check_callers(spec, claims)
    for name, gateway in (spec.written.gateways or {}).items():
        yield from _check_gateway(spec, name, gateway)


def _claims(spec: Spec) -> Iterator[_Claim]:
    for name, service in (spec.written.services or {}).items():
        for index, route in enumerate(service.routes or ()):
            for number, host in enumerate(route.hostnames or ()):
                at = spec.source["services"][name]["routes"][index]["hostnames"].at(number)
                yield _Claim(host, name, at)


def _check_own_names(spec: Spec, claims: list[_Claim]) -> Iterator[Finding]:
    domain = spec.written.mesh.domain
    services = spec.written.services or {}
    for claim in claims:
        if claim.name in hostnames(claim.owner, domain):
            continue
        other = claim.name.removesuffix(f".{domain}")
        if other in services:
            message = f"`{claim.name}` is the name of the service `{other}`, not of `{claim.owner}`"
            yield finding("hostname-clash", claim.at, message)
        elif within(claim.name, domain):
            message = f"`{claim.name}` is in the mesh's own domain, where only services have names"
            yield finding("hostname-clash", claim.at, message)


def within(name: str, domain: str) -> bool:
    """Whether a name is below the domain, or a wildcard takes names that are."""
    bare = name.removeprefix(WILDCARD)
    return f".{bare}".endswith(f".{domain}") or (bare != name and f".{domain}".endswith(f".{bare}"))


def _check_callers(spec: Spec, claims: list[_Claim]) -> Iterator[Finding]:
    """Names that lead one caller to two callees."""
    by_name: dict[str, dict[str, _Claim]] = {}
    for claim in claims:
        by_name.setdefault(claim.name, {}).setdefault(claim.owner, claim)
    for name, external in (spec.written.externals or {}).items():
        for index, host in enumerate(external.hosts or ()):
            at = spec.source["externals"][name]["hosts"].at(index)
            if host in by_name:
                by_name[host].setdefault(name, _Claim(host, name, at))
    shared = {name: owners for name, owners in by_name.items() if len(owners) > 1}
    for host, owners in shared.items():
        for caller, service in (spec.written.services or {}).items():
            called = [claim for owner, claim in owners.items() if owner in (service.calls or {})]
            for claim in called[1:]:
                first = called[0]
                yield finding(
                    "hostname-clash",
                    claim.at,
                    f"`{host}` would lead `{caller}` to `{first.owner}` and to `{claim.owner}`",
                    related=(Related(first.at, "the other one"),) if first.at else (),
                )


def _check_gateway(spec: Spec, name: str, gateway: GatewaySpec) -> Iterator[Finding]:
    served = gateway.hostnames or ()
    for index, route in enumerate(gateway.routes or ()):
        source = spec.source["gateways"][name]["routes"][index]
        for number, host in enumerate(route.hostnames or ()):
            if served and not any(_serves(each, host) for each in served):
                message = f"`{host}` is none of the host names of the gateway `{name}`"
                yield finding("undefined-reference", source["hostnames"].at(number), message)
        for number, match in enumerate(route.matches or ()):
            if match.callers:
                at = source["matches"][number].at("from")
                yield finding(
                    "caller-not-known", at, f"the gateway `{name}` does not know who its clients are"
                )


def _serves(listed: str, host: str) -> bool:
    return host == listed or (listed.startswith(WILDCARD) and host.endswith(listed.removeprefix("*")))
