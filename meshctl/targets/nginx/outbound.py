"""The listeners of those for whom the sidecar speaks: its application, its local ports, or a gateway's clients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from meshctl import ir
from meshctl.targets.nginx import (
    discovery,
    egress,
    fault_injection,
    filters,
    gateways,
    http2,
    matching,
    quoting,
    routing,
    splitting,
)
from meshctl.targets.nginx.destinations import UNAVAILABLE, Destinations
from meshctl.targets.nginx.mirroring import Mirrors
from meshctl.targets.nginx.model_destinations import Destination, Split
from meshctl.targets.nginx.model_outbound import Fault, Filter, Listener, Outbound, Route, VirtualHost
from meshctl.targets.nginx.policies import policies
from meshctl.targets.nginx.quoting import Token

_EVERY_HOST = "*"


def outbound(sidecar: ir.Sidecar) -> Outbound:
    """All of them, with one set of tables."""
    clusters = {each.name: each for each in sidecar.clusters if each.protocol is not ir.Protocol.TCP}
    written = (sidecar.outbound, *sidecar.locals)
    book = _RouteBook(clusters, tells_grpc=any(each.http2 for each in written))
    listeners = tuple(book.listener(number, each) for number, each in enumerate(written, start=1))
    destinations = book.destinations
    used, balanced = {each.upstream for each in destinations.all()}, destinations.balanced()
    return Outbound(
        listeners=listeners,
        mesh_host=_mesh_host(sidecar.outbound),
        host=quoting.word("$forwarded_host" if book.rewrites_host else "$http_host"),
        routes=tuple(book.routes),
        splits=tuple(book.splits),
        by_method=tuple(destinations.by_method),
        conditions=tuple(
            host.conditions for each in listeners for host in each.virtual_hosts if host.conditions
        ),
        filters=tuple(book.filters),
        faults=tuple(book.faults),
        upstreams=tuple(
            discovery.upstream(each, balances=name in balanced)
            for name, each in clusters.items()
            if name in used
        ),
        destinations=destinations.all(),
        tries=tuple(destinations.tries.values()),
        speaks_http2=any(each.multiplexed for each in destinations.all()),
        tries_by_http2=any(each.multiplexed for each in destinations.tries.values()),
        names=egress.names(sidecar),
        policies=policies([each for name, each in clusters.items() if name in used], book.mirrors.all()),
    )


def _mesh_host(listener: ir.OutboundListener) -> Token | None:
    if not listener.domain:
        return None
    return egress.mesh_host(listener.domain) if listener.egress else routing.mesh_host(listener.domain)


@dataclass(slots=True)
class _RouteBook:
    """Numbers the routes of a sidecar; matches of one route with the same fate share a number."""

    clusters: Mapping[str, ir.Cluster]
    tells_grpc: bool
    destinations: Destinations = field(init=False)
    routes: list[Route] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)
    filters: list[Filter] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    mirrors: Mirrors = field(init=False)
    rewrites_host: bool = False
    _numbers: dict[object, int] = field(default_factory=dict)
    _hosts: int = 0

    def __post_init__(self) -> None:
        self.destinations = Destinations(self.clusters, self.tells_grpc)
        self.mirrors = Mirrors(self.destinations)

    def listener(self, number: int, listener: ir.OutboundListener) -> Listener:
        hosts = [
            self._virtual_host(host.service, host.hostnames, host.routes, refuses_mesh_hosts=False)
            for host in listener.virtual_hosts
        ]
        if listener.egress is not None:
            hosts.append(
                self._virtual_host(
                    "", (_EVERY_HOST,), (listener.egress,), refuses_mesh_hosts=bool(listener.domain)
                )
            )
        preread = http2.preread(number, listener)
        return Listener(
            listens=() if preread else tuple(quoting.address(bind) for bind in listener.binds),
            preread=preread,
            http2=listener.http2,
            idle_timeout=quoting.duration(listener.idle_timeout),
            tls=gateways.server_tls(listener.tls),
            fallback=not any(host.fallback for host in hosts),
            virtual_hosts=tuple(hosts),
        )

    def _virtual_host(
        self, callee: str, names: tuple[str, ...], written: tuple[ir.Route, ...], *, refuses_mesh_hosts: bool
    ) -> VirtualHost:
        self._hosts += 1
        reached: dict[int, Destination] = {}
        numbered = [routing.NumberedRoute(each, self._number(each, reached)) for each in written]
        routes = routing.reachable(numbered)
        conditions = routing.conditions(routes)
        return VirtualHost(
            callee=quoting.value(callee),
            names=tuple(quoting.hostname(name) for name in names if name != _EVERY_HOST) or (Token("_"),),
            fallback=_EVERY_HOST in names,
            refuses_mesh_hosts=refuses_mesh_hosts,
            changes_requests=any(filters.changes_requests(each.route) for each in routes),
            answers=any(each.route.answer is not None for each in routes),
            fails=any(each.route.fault is not None for each in routes),
            conditions=matching.conditions(self._hosts, conditions),
            routing=routing.routing(self._hosts, routes, conditions),
            destinations=tuple(reached[key] for key in sorted(reached)),
        )

    def _number(self, route: ir.Route, reached: dict[int, Destination]) -> int:
        found = [(self.destinations.add(each.cluster, route), each.weight) for each in route.backends]
        for (_, behind), _ in found:
            reached.update((destination.number, destination) for destination in behind)
        backends = tuple((leads_to, weight) for (leads_to, _), weight in found)
        key = (route.name, backends, filters.key(route), route.fault, route.mirrors)
        if key not in self._numbers:
            number = self._numbers[key] = len(self._numbers) + 1
            leads_to = filters.ANSWER if route.answer is not None else self._leads_to(number, backends)
            self.routes.append(Route(number, quoting.value(route.name), leads_to))
            if filters.needed(route):
                self.filters.append(filters.written(number, route))
            self.mirrors.add(number, route)
            if route.fault is not None:
                self.faults.append(fault_injection.fault(number, route.fault))
            self.rewrites_host |= route.rewrite is not None and bool(route.rewrite.hostname)
        return self._numbers[key]

    def _leads_to(self, number: int, backends: tuple[tuple[Token, int], ...]) -> Token:
        if not backends:
            return UNAVAILABLE
        if len(backends) == 1:
            return backends[0][0]
        drawn = splitting.splits(number, backends)
        self.splits.extend(drawn)
        return drawn[0].variable
