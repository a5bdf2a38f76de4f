"""From a sidecar to the model of its file: the order, written once."""

from __future__ import annotations

from meshctl import ir
from meshctl.targets.nginx import (
    access_logs,
    admin,
    authorization,
    discovery,
    mtls,
    path_gate,
    quoting,
    routing,
    splitting,
    timeouts,
)
from meshctl.targets.nginx.destinations import UNAVAILABLE, Destinations
from meshctl.targets.nginx.model import (
    Configuration,
    Destination,
    Inbound,
    Outbound,
    Route,
    Split,
    VirtualHost,
)
from meshctl.targets.nginx.quoting import Token


def assemble(sidecar: ir.Sidecar) -> Configuration:
    """The whole file."""
    return Configuration(
        service=quoting.name(sidecar.service),
        canonical_request=path_gate.canonical_request(),
        log_formats=access_logs.log_formats(sidecar),
        tls=mtls.tls(sidecar.tls),
        admin=admin.admin(sidecar),
        outbound=_outbound(sidecar),
        inbound=None if sidecar.inbound is None else _inbound(sidecar.inbound, sidecar.identity),
    )


def _outbound(sidecar: ir.Sidecar) -> Outbound:
    listener = sidecar.outbound
    destinations = Destinations({cluster.name: cluster for cluster in sidecar.clusters})
    book = _RouteBook(destinations)
    hosts = tuple(
        book.virtual_host(number, host) for number, host in enumerate(listener.virtual_hosts, start=1)
    )
    used = {destination.upstream for destination in destinations.all()}
    return Outbound(
        listen=quoting.address(listener.bind),
        mesh_host=routing.mesh_host(listener.domain),
        idle_timeout=quoting.duration(listener.idle_timeout),
        routes=tuple(book.routes),
        splits=tuple(book.splits),
        by_method=tuple(destinations.by_method),
        upstreams=tuple(discovery.upstream(each) for each in sidecar.clusters if each.name in used),
        virtual_hosts=hosts,
        destinations=destinations.all(),
    )


class _RouteBook:
    """Numbers the routes of a sidecar; matches of one route with the same fate share a number."""

    def __init__(self, destinations: Destinations) -> None:
        self._destinations = destinations
        self._numbers: dict[object, int] = {}
        self.routes: list[Route] = []
        self.splits: list[Split] = []

    def virtual_host(self, number: int, host: ir.VirtualHost) -> VirtualHost:
        reached: dict[int, Destination] = {}
        routes = [routing.NumberedRoute(each, self._number(each, reached)) for each in host.routes]
        return routing.virtual_host(number, host, routes, tuple(reached[key] for key in sorted(reached)))

    def _number(self, route: ir.Route, reached: dict[int, Destination]) -> int:
        found = [(self._destinations.add(each.cluster, route), each.weight) for each in route.backends]
        for (_, behind), _ in found:
            reached.update((destination.number, destination) for destination in behind)
        backends = tuple((leads_to, weight) for (leads_to, _), weight in found)
        key = (route.name, backends)
        if key not in self._numbers:
            number = self._numbers[key] = len(self._numbers) + 1
            self.routes.append(Route(number, quoting.value(route.name), self._leads_to(number, backends)))
        return self._numbers[key]

    def _leads_to(self, number: int, backends: tuple[tuple[Token, int], ...]) -> Token:
        if not backends:
            return UNAVAILABLE
        if len(backends) == 1:
            return backends[0][0]
        drawn = splitting.splits(number, backends)
        self.splits.extend(drawn)
        return drawn[0].variable


def _inbound(listener: ir.InboundListener, identity: ir.WorkloadIdentity) -> Inbound:
    return Inbound(
        listen=quoting.address(listener.bind),
        application=quoting.address(listener.application),
        subject=mtls.subject(identity),
        callers=authorization.callers(listener.authorization),
        identity_header=authorization.identity_header(),
        untrusted_headers=authorization.untrusted_headers(),
        connect_timeout=quoting.duration(listener.connect_timeout),
        idle_timeout=quoting.duration(listener.idle_timeout),
        keepalive_timeout=quoting.duration(timeouts.outlasting(listener.idle_timeout)),
    )
