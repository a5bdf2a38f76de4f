"""Service level objectives: only such as the series of the sidecars can tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from fractions import Fraction

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position
from meshctl.ir.slo import LatencyObjective, ServiceLevel
from meshctl.resolve import applications, calls, gateways
from meshctl.resolve.metrics import BUCKETS
from meshctl.spec import Source, Spec
from meshctl.spec.service import ServiceSpec
from meshctl.spec.slo import SloSpec

DEFAULT_WINDOW = timedelta(days=30)


def service_level(service: ServiceSpec) -> ServiceLevel | None:
    """What a service promises, or None. Objectives for latency come in the order of their shares."""
    its = service.slo
    if its is None:
        return None
    latency = (
        LatencyObjective(Fraction(name.removeprefix("p")) / 100, within)
        for name, within in (its.latency or {}).items()
    )
    return ServiceLevel(
        availability=its.availability,
        latency=tuple(sorted(latency, key=lambda each: each.share)),
        window=its.window or DEFAULT_WINDOW,
    )


def service_levels(spec: Spec) -> dict[str, ServiceLevel]:
    """By service what it promises, of those that promise anything."""
    services = (spec.written.services or {}).items()
    return {name: level for name, each in services if (level := service_level(each)) is not None}


def check(spec: Spec) -> Iterator[Finding]:
    """Objectives that could never be missed, because nothing counts what they are about."""
    counted = spec.written.mesh.metrics is not None
    services = spec.written.services or {}
    called = {callee for service in services.values() for callee in service.calls or {}}
    for name, service in services.items():
        if service.slo is not None:
            source = spec.source["services"][name]
            yield from _check(service.slo, applications.protocol(service), source, counted=counted)
            if counted and name not in called:
                yield _uncalled(name, services, spec)


def _uncalled(name: str, services: Mapping[str, ServiceSpec], spec: Spec) -> Finding:
    """Callers count a request for whom they asked, whatever service its route leads to; gateways for themselves."""
    at = spec.source["services"][name].at("slo")
    routes = {other: its.routes or () for other, its in services.items() if other != name}
    by = next((other for other, its in routes.items() if any(name in calls.reached(it) for it in its)), None)
    if by is not None:
        message = (
            f"no service calls `{name}` by its name, and what routes of `{by}` lead to it counts for `{by}`"
        )
        return _finding(at, message, f"Promise it at `{by}`.")
    its_gateways = (spec.written.gateways or {}).items()
    gate = next((other for other, gateway in its_gateways if name in gateways.reached(gateway)), None)
    if gate is not None:
        message = (
            f"no service calls `{name}`, and what comes through the gateway `{gate}` counts for `{gate}`"
        )
        return _finding(at, message, "Remove `slo`.")
    return _finding(at, f"no service calls `{name}`, and requests are counted by callers", "Remove `slo`.")


def _check(its: SloSpec, protocol: ir.Protocol, source: Source, *, counted: bool) -> Iterator[Finding]:
    at = source.at("slo")
    if not counted:
        message = "the mesh counts no requests"
        yield _finding(at, message, "Write `metrics: {format: prometheus}` under `mesh`.")
    elif protocol is ir.Protocol.TCP:
        yield _finding(at, "streams have no answers, and nothing counts them", "Remove `slo`.")
    elif its.availability is None and its.latency is None:
        yield _finding(at, "a window, and nothing that is promised", "Write `availability` or `latency`.")
    elif its.availability is not None and protocol is ir.Protocol.GRPC:
        message = "a gRPC call that fails has the HTTP status 200, so that none would count"
        yield _finding(source["slo"].at("availability"), message, "Promise a `latency` alone.")
    for percentile, within in (its.latency or {}).items():
        if within not in BUCKETS:
            below = [each for each in BUCKETS if each < within][-1:]
            above = [each for each in BUCKETS if each > within][:1]
            nearest = " and ".join(ir.duration_text(each) for each in (*below, *above))
            message = (
                f"the histogram has no bound at {ir.duration_text(within)}, so nothing tells who was slower"
            )
            at = source["slo"]["latency"].at(percentile)
            yield _finding(at, message, f"Write one that there is; the nearest: {nearest}.")


def _finding(at: Position | None, message: str, fix: str) -> Finding:
    return finding("slo-not-measurable", at, message, fix=fix)
