"""MeshSpec to ir.Mesh: every decision that a proxy must not take is taken here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from msgspec import Struct

from meshctl import ir
from meshctl.diagnostics import Finding
from meshctl.resolve import (
    addresses,
    applications,
    discovery,
    egress,
    externals,
    gateways,
    hostnames,
    jwt,
    listeners,
    mtls,
    permissions,
    placements,
    policies,
    proxies,
    references,
    resolvers,
    routing,
    slo,
    streams,
    zones,
)
from meshctl.resolve.assemble import Assembly
from meshctl.resolve.digest import with_builds
from meshctl.resolve.loopback import loopback
from meshctl.resolve.mtls import ended
from meshctl.resolve.proxies import with_proxy
from meshctl.resolve.reuse import Resolved, Shared, shared
from meshctl.resolve.waivers import Owners, expired, idle, waive
from meshctl.spec import Spec


class Resolution(Struct, frozen=True):
    """A resolved mesh, or the reasons why there is none. Warnings may come with a mesh."""

    mesh: ir.Mesh | None
    findings: tuple[Finding, ...]


def _each_service(spec: Spec, known: Collection[str] = ()) -> Iterator[Finding]:
    for name, service in (spec.written.services or {}).items():
        if name in known:
            continue
        source = spec.source["services"][name]
        yield from applications.check(name, service, source)
        yield from routing.check(service.routes, source, listed=service.route_order == "listed")
        yield from discovery.check(service.endpoints, placements.inbound_port(spec, service), source)
        yield from discovery.check_kinds(service, source)


def _each_gateway(spec: Spec) -> Iterator[Finding]:
    for name, gateway in (spec.written.gateways or {}).items():
        source = spec.source["gateways"][name]
        yield from discovery.check(gateway.endpoints, gateway.port, source)
        yield from routing.check(gateway.routes, source, listed=gateway.route_order == "listed")


PASSES: tuple[Callable[[Spec], Iterable[Finding]], ...] = (
    references.check,
    proxies.check,
    _each_service,
    _each_gateway,
    hostnames.check,
    policies.check,
    listeners.check,
    listeners.check_exposure,
    addresses.check,
    resolvers.check,
    egress.check,
    externals.check,
    gateways.check,
    streams.check,
    slo.check,
    zones.check,
    permissions.check,
    jwt.check,
    mtls.check,
)
"""Every question that is asked of a spec before it is resolved; all of them, so that all faults show."""

_BY_SERVICE: Mapping[
    Callable[[Spec], Iterable[Finding]], Callable[[Spec, Collection[str]], Iterable[Finding]]
] = {_each_service: _each_service, policies.check: policies.check}
"""Those of them that are about services, calls and gateways one by one, and can leave out whose answers are known."""


def _asked(spec: Spec, known: Collection[str]) -> Iterator[Finding]:
    for check in PASSES:
        about_some = _BY_SERVICE.get(check)
        yield from about_some(spec, known) if about_some is not None else check(spec)


def resolve(spec: Spec, *, builds: bool = True, like: Resolved | None = None) -> Resolution:
    """The mesh that ``spec`` means. Who only asks questions of it needs no build ids.

    Sidecars that are the same in ``like`` are those of it; only the places that they were written at are then of there.
    Warnings about what is the same there may be left out.
    """
    known = shared(spec, like) if like is not None else Shared()
    findings = tuple(dict.fromkeys(_asked(spec, known.services)))
    if any(found.is_error for found in findings):
        return Resolution(None, findings)
    mesh = Assembly(spec, known.sidecars).mesh()
    return Resolution(with_builds(mesh) if builds else mesh, findings)


__all__ = [
    "PASSES",
    "Owners",
    "Resolution",
    "Resolved",
    "ended",
    "expired",
    "idle",
    "loopback",
    "resolve",
    "waive",
    "with_builds",
    "with_proxy",
]
