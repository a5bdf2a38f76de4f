"""The facts about calls that come from both ends: loads and limits, idle connections, zones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from math import ceil
from typing import Any

from msgspec.structs import replace

from meshctl import ir
from meshctl.lint.collect_routes import Clusters
from meshctl.lint.facts import CallFacts
from meshctl.spec import Spec
from meshctl.spec.discovery import EndpointSpec
from meshctl.spec.gateways import GatewaySpec
from meshctl.spec.load import LoadSpec
from meshctl.spec.service import ServiceSpec


def loaded(
    calls: Iterable[CallFacts], sidecars: Mapping[str, ir.Sidecar], clusters: Clusters, spec: Spec
) -> Iterator[CallFacts]:
    """``calls`` with what is known of both ends."""
    endpoints = _endpoints(spec)
    zones = {name: {zone for zone, _ in some} for name, some in endpoints.items()}
    loads = _loads(spec)
    for call in calls:
        cluster = clusters[call.caller].get(call.callee)
        load = loads.get((call.caller, call.callee))
        known: dict[str, Any] = {}
        if cluster is not None:
            callee = sidecars.get(call.callee)
            inbound = callee.inbound if callee is not None else None
            own, theirs = zones.get(call.caller, set()), zones.get(call.callee, set())
            known = {
                "idle_timeout": cluster.idle_timeout,
                "callee_idle_timeout": inbound.idle_timeout if inbound is not None else timedelta(),
                "most_in_flight": _most(cluster),
                "zone_blind": _is_blind(cluster, own, theirs),
            }
        if load is not None:
            instances = len(endpoints.get(call.caller, ())) or 1
            known |= {
                "load_requests": load.requests,
                "load_per": load.per,
                "in_flight": _under_way(load, instances),
            }
        yield replace(call, **known)


def _callers(spec: Spec) -> Iterator[tuple[str, ServiceSpec | GatewaySpec]]:
    yield from (spec.written.services or {}).items()
    yield from (spec.written.gateways or {}).items()


def _endpoints(spec: Spec) -> dict[str, list[tuple[str, EndpointSpec]]]:
    """The endpoints that take requests, each with its zone."""
    return {
        name: [(each.zone or owner.zone or "", each) for each in owner.endpoints or () if each.weight != 0]
        for name, owner in _callers(spec)
    }


def _loads(spec: Spec) -> dict[tuple[str, str], LoadSpec]:
    return {
        (name, callee): call.load
        for name, owner in _callers(spec)
        for callee, call in (owner.calls or {}).items()
        if call.load is not None
    }


def _under_way(load: LoadSpec, instances: int) -> int:
    return ceil(load.requests * load.latency / load.per / instances) if load.latency is not None else 0


def _most(cluster: ir.Cluster) -> int:
    breaker = cluster.circuit_breaker
    # Over HTTP/1.1 every request under way has a connection to itself.
    alone = cluster.protocol is ir.Protocol.HTTP
    return min(breaker.max_requests, breaker.max_connections) if alone else breaker.max_requests


def _is_blind(cluster: ir.Cluster, own: set[str], theirs: set[str]) -> bool:
    shared = (own & theirs) - {""}
    ranked = any(each.priority for each in cluster.endpoints)
    return bool(shared) and len(theirs) > 1 and not ranked
