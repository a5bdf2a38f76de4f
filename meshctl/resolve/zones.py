"""Zones: what `locality` cannot do, because nobody knows a zone, or that one is down."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding
from meshctl.resolve import discovery, failover, placements, references
from meshctl.resolve.calls import declared_calls, place
from meshctl.resolve.layers import Layers, call_layer, callee_layers, particular, says
from meshctl.spec import Spec
from meshctl.spec.failover import LocalitySpec
from meshctl.spec.service import ServiceSpec

_DETECTION = ("outlier_detection", "health_check")


def check(spec: Spec) -> Iterator[Finding]:
    """Every `locality`, at each callee and each call that narrows it."""
    services = spec.written.services or {}
    known = references.zones(spec)
    for name in services:
        yield from _check_callee(name, services[name], callee_layers(spec, name), known)
    for name in spec.written.externals or {}:
        yield from _check_outside(name, callee_layers(spec, name))
    for callers in (services, spec.written.gateways or {}):
        for caller, written in callers.items():
            for callee in written.calls or {}:
                narrowed = call_layer(spec, caller, callee)
                layers = (
                    (*callee_layers(spec, callee), *narrowed) if narrowed and _known(spec, callee) else ()
                )
                if callee in services:
                    if layers and says(narrowed, "locality", *_DETECTION):
                        yield from _check_callee(callee, services[callee], layers, known)
                elif layers:
                    yield from _check_outside(callee, layers)
    yield from _check_callers(spec)


def _known(spec: Spec, callee: str) -> bool:
    return callee in (spec.written.services or {}) or callee in (spec.written.externals or {})


def _check_callee(
    name: str, service: ServiceSpec, layers: Layers, known: Collection[str]
) -> Iterator[Finding]:
    wanted = failover.locality(layers)
    if wanted is None:
        return
    if service.discovery is not None:
        yield from _check_outside(name, layers, looked_up=True)
        return
    zones = discovery.zones(service)
    if len(set(zones)) > 1 and not says(layers, *_DETECTION):
        message = f"nothing tells when the endpoints of `{name}` in one zone are down"
        yield finding("failover-unnoticed", wanted.at, message)
    for layer in particular(layers):
        written: LocalitySpec | None = layer.says.get("locality")
        for index, zone in enumerate((written and written.failover) or ()):
            if zone in known and zone not in zones:
                zones_tried = layer.source["locality"]["failover"]
                message = f"`{name}` has no endpoint in the zone `{zone}`"
                idle = zones_tried.part(index)
                yield finding("ineffective-setting", zones_tried.at(index), message, remove=idle)


def _check_outside(name: str, layers: Layers, *, looked_up: bool = False) -> Iterator[Finding]:
    """Callees whose endpoints are in no zone."""
    why = (
        "are looked up, and DNS says no zones"
        if looked_up
        else "are outside the mesh, where no zones are known"
    )
    for layer in particular(layers):
        if "locality" in layer.says:
            at = layer.source.at("locality")
            message = f"the endpoints of `{name}` {why}"
            yield finding("ineffective-setting", at, message, remove=layer.source.part("locality"))


def _check_callers(spec: Spec) -> Iterator[Finding]:
    """Those to whom their own zone matters, and who do not know it."""
    services, gateways = spec.written.services or {}, spec.written.gateways or {}
    told: set[str] = set()
    for caller, callee, listed in declared_calls(spec):
        if caller in told or not _prefers_own(spec, caller, callee):
            continue
        its: Sequence[placements.Placement] = (
            placements.placements(spec, services[caller], zoned=True)
            if caller in services
            else placements.gateway_placements(spec, gateways[caller], zoned=True)
        )
        lost = next((each for each in its if not each.zone), None)
        if lost is not None:
            told.add(caller)
            where = f" (at {', '.join(lost.hosts)})" if lost.hosts and len(its) > 1 else ""
            message = (
                f"`{callee}` prefers the zone of its caller, and nobody knows where `{caller}` is{where}"
            )
            yield finding("zone-unknown", place(spec, caller, listed), message)


def _prefers_own(spec: Spec, caller: str, callee: str) -> bool:
    service = (spec.written.services or {})[callee]
    wanted = failover.locality((*callee_layers(spec, callee), *call_layer(spec, caller, callee)))
    several = len(set(discovery.zones(service))) > 1
    return several and wanted is not None and wanted.prefer_same_zone
