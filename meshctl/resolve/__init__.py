"""MeshSpec to ir.Mesh: every decision that a proxy must not take is taken here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

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
from meshctl.resolve.reuse import Resolved, reusable
from meshctl.resolve.waivers import Owners, expired, idle, waive
from meshctl.spec import Spec


class Resolution(Struct, frozen=True):
    """A resolved mesh, or the reasons why there is none. Warnings may come with a mesh."""

    mesh: ir.Mesh | None
    findings: tuple[Finding, ...]


def _each_service(spec: Spec) -> Iterator[Finding]:
    for name, service in (spec.written.services or {}).items():
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


def resolve(spec: Spec, *, builds: bool = True, like: Resolved | None = None) -> Resolution:
    """The mesh that ``spec`` means. Who only asks questions of it needs no build ids.

    Sidecars that are the same in ``like`` are those of it; only the places that they were written at are then of there.
    """
    findings = tuple(dict.fromkeys(found for check in PASSES for found in check(spec)))
    if any(found.is_error for found in findings):
        return Resolution(None, findings)
    mesh = Assembly(spec, reusable(spec, like) if like is not None else None).mesh()
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
