"""MeshSpec to ir.Mesh: every decision that a proxy must not take is taken here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from meshctl import ir
from meshctl.diagnostics import Finding
from meshctl.resolve import (
    applications,
    discovery,
    egress,
    listeners,
    mtls,
    placements,
    references,
    resolvers,
    retries,
    routing,
)
from meshctl.resolve.assemble import Assembly
from meshctl.resolve.digest import with_builds
from meshctl.resolve.layers import Layer, call_layer, callee_layers
from meshctl.resolve.loopback import loopback
from meshctl.resolve.overrides import with_proxy
from meshctl.resolve.waivers import Owners, expired, idle, waive
from meshctl.spec import Spec


@dataclass(frozen=True, slots=True)
class Resolution:
    """A resolved mesh, or the reasons why there is none. Warnings may come with a mesh."""

    mesh: ir.Mesh | None
    findings: tuple[Finding, ...]


def _each_service(spec: Spec) -> Iterator[Finding]:
    for name, service in (spec.written.services or {}).items():
        source = spec.source["services"][name]
        yield from applications.check(name, service, source)
        yield from routing.check(service, source)
        yield from discovery.check(service, placements.inbound_port(spec, service), source)


def _each_policy(spec: Spec) -> Iterator[Finding]:
    """Policies as they stand after inheritance, at the service, its routes and the calls to it."""
    services = spec.written.services or {}
    for name, service in services.items():
        layers = callee_layers(spec, name)
        yield from retries.check(layers)
        for index, route in enumerate(service.routes or ()):
            if route.retries is not None:
                yield from retries.check(
                    (*layers, Layer(route, spec.source["services"][name]["routes"][index]))
                )
        for callee in service.calls or {}:
            narrowed = call_layer(spec, name, callee)
            if narrowed and callee in services:
                yield from retries.check((*callee_layers(spec, callee), *narrowed))


PASSES: tuple[Callable[[Spec], Iterable[Finding]], ...] = (
    references.check,
    _each_service,
    _each_policy,
    listeners.check,
    resolvers.check,
    egress.check,
    mtls.check,
)
"""Every question that is asked of a spec before it is resolved; all of them, so that all faults show."""


def resolve(spec: Spec, *, builds: bool = True) -> Resolution:
    """The mesh that ``spec`` means. Who only asks questions of it needs no build ids."""
    findings = tuple(dict.fromkeys(found for check in PASSES for found in check(spec)))
    if any(found.is_error for found in findings):
        return Resolution(None, findings)
    mesh = Assembly(spec).mesh()
    return Resolution(with_builds(mesh) if builds else mesh, findings)


__all__ = ["PASSES", "Owners", "Resolution", "expired", "idle", "loopback", "resolve", "waive", "with_proxy"]
