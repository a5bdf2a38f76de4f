"""The facts about a mesh, from its resolved model and the words of its spec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from meshctl import ir
from meshctl.lint.facts import CallFacts, MeshFacts, RouteFacts, ServiceFacts, World
from meshctl.spec import Source, Spec
from meshctl.spec.service import ServiceSpec

Hosts = Mapping[str, tuple[ir.VirtualHost, ...]]
"""The virtual hosts of each caller."""

Places = Mapping[str, Source]


def collect(mesh: ir.Mesh, spec: Spec) -> World:
    """Everything that the rules can ask about ``mesh``, which is what ``spec`` resolved to."""
    hosts = {each.service: each.outbound.virtual_hosts for each in mesh.sidecars}
    places = _places(spec)
    calls = (*_calls(hosts, places), *_streams(mesh, places))
    services = len(spec.written.services or {})
    return World(
        mesh=MeshFacts(mesh.name, mesh.domain, mesh.trust_domain, services, spec.source["mesh"]),
        services=_services(mesh, hosts, calls, spec),
        routes=_routes(hosts, places),
        calls=calls,
    )


def _places(spec: Spec) -> Places:
    """Where each service, external and gateway is written; they share one namespace."""
    written = spec.written
    return {
        name: spec.source[section][name]
        for section, defined in (
            ("services", written.services),
            ("externals", written.externals),
            ("gateways", written.gateways),
        )
        for name in defined or ()
    }


def _services(mesh: ir.Mesh, hosts: Hosts, calls: Iterable[CallFacts], spec: Spec) -> dict[str, ServiceFacts]:
    callers: dict[str, list[str]] = {}
    callees: dict[str, list[str]] = {}
    for each in calls:
        callers.setdefault(each.callee, []).append(each.caller)
        callees.setdefault(each.caller, []).append(each.callee)
    relying = _callers_on_default_timeout(hosts)
    proxies = {each.service: each.proxy.value for each in mesh.sidecars}
    return {
        name: ServiceFacts(
            name=name,
            owner=service.owner or "",
            labels=dict(service.labels or {}),
            proxy=proxies[name],
            instances=len(_taking(service)),
            zones=tuple(sorted({each for each in _taking(service) if each})),
            calls=tuple(sorted(callees.get(name, ()))),
            callers=tuple(sorted(callers.get(name, ()))),
            callers_on_default_timeout=tuple(sorted(relying.get(name, ()))),
            source=spec.source["services"][name],
        )
        for name, service in sorted((spec.written.services or {}).items())
    }


def _taking(service: ServiceSpec) -> list[str]:
    """The zone, or nothing, of every endpoint that takes requests."""
    return [each.zone or service.zone or "" for each in service.endpoints or () if each.weight != 0]


def _callers_on_default_timeout(hosts: Hosts) -> dict[str, set[str]]:
    relying: dict[str, set[str]] = {}
    for caller, seen in hosts.items():
        for host in seen:
            for route in host.routes:
                if not _decided(route):
                    # A gateway's routes are its own, and what it relies on is where they lead.
                    callees = _callees(route) if host.service == caller else {host.service}
                    for callee in callees:
                        relying.setdefault(callee, set()).add(caller)
    return relying


def _decided(route: ir.Route) -> bool:
    """Whether somebody has said how long this may take, or nothing is asked of anyone."""
    return route.timeout.written or route.streaming or route.answer is not None


def _callees(route: ir.Route) -> set[str]:
    return {each.cluster.partition(".")[0] for each in route.backends}


def _routes(hosts: Hosts, places: Places) -> tuple[RouteFacts, ...]:
    # Callers that narrow nothing share one object, and so one fact.
    callers: dict[int, list[str]] = {}
    views: dict[int, ir.VirtualHost] = {}
    for caller, seen in hosts.items():
        for host in seen:
            callers.setdefault(id(host), []).append(caller)
            views[id(host)] = host
    return tuple(
        RouteFacts(
            name=route.name,
            service=host.service,
            callers=tuple(sorted(callers[id(host)])),
            timeout=route.timeout.duration,
            timeout_written=_decided(route),
            attempts=route.retries.attempts,
            retry_on=tuple(each.value for each in route.retries.conditions),
            backends=tuple(each.cluster for each in route.backends),
            source=_route_source(places[host.service], route),
        )
        for host in sorted(views.values(), key=lambda each: (each.service, callers[id(each)]))
        for route in {each.name: each for each in host.routes if each.answer is None}.values()
    )


def _route_source(service: Source, route: ir.Route) -> Source:
    written = service["routes"]
    if isinstance(written.node, list):
        for index, node in enumerate(written.node):
            if isinstance(node, Mapping) and node.get("name") == route.name:
                return written[index]
    return service


def _calls(hosts: Hosts, places: Places) -> tuple[CallFacts, ...]:
    routes: dict[tuple[str, str], list[ir.Route]] = {}
    declared: dict[tuple[str, str], str] = {}
    for caller, seen in hosts.items():
        for host in seen:
            for route in host.routes:
                for callee in _callees(route):
                    routes.setdefault((caller, callee), []).append(route)
                    # A call of one's own beats one that a route of somebody else leads on to.
                    if host.service == callee or (caller, callee) not in declared:
                        # A gateway's routes are its own: they lead to what it calls itself.
                        declared[caller, callee] = callee if host.service == caller else host.service
    return tuple(
        _call(caller, callee, leading, places[caller]["calls"][declared[caller, callee]])
        for (caller, callee), leading in sorted(routes.items(), key=lambda each: each[0])
    )


def _streams(mesh: ir.Mesh, places: Places) -> tuple[CallFacts, ...]:
    """Calls over TCP."""
    streams = ((each.service, stream) for each in mesh.sidecars for stream in each.tcp)
    pairs = {(caller, callee) for caller, stream in streams for callee in stream.services}
    return tuple(
        CallFacts(caller=caller, callee=callee, protocol="tcp", source=places[caller]["calls"][callee])
        for caller, callee in sorted(pairs)
    )


def _call(caller: str, callee: str, routes: list[ir.Route], source: Source) -> CallFacts:
    retries = max((each.retries for each in routes), key=_weight_of_retries)
    timeout = max((each.timeout for each in routes), key=lambda each: patience(each.duration))
    return CallFacts(
        caller=caller,
        callee=callee,
        timeout=timeout.duration,
        timeout_written=all(map(_decided, routes)),
        attempts=retries.attempts,
        retry_on=tuple(each.value for each in retries.conditions),
        timeout_at=timeout.at,
        retries_at=retries.at,
        source=source,
    )


def _weight_of_retries(policy: ir.RetryPolicy) -> tuple[bool, int]:
    return policy.retries_on(ir.RetryCondition.GATEWAY_ERROR), policy.attempts


def patience(timeout: timedelta) -> timedelta:
    """How long a caller waits at most: for ever where the timeout is switched off."""
    return timeout or timedelta.max
