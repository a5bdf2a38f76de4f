"""The mesh from its features: one sidecar per bundle, with what its service calls and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from meshctl import ir
from meshctl.resolve import (
    access_logs,
    applications,
    authorization,
    egress,
    gateways,
    health,
    local_ports,
    metrics,
    mtls,
    pending,
    proxies,
    rate_limiting,
    resolvers,
    timeouts,
    tracing,
)
from meshctl.resolve.callees import Callees
from meshctl.resolve.calls import declared_calls
from meshctl.resolve.placements import Placement, asks, gateway_placements, placements
from meshctl.spec import Spec


class Assembly:
    """The state of one resolve. The sidecars of services and gateways in ``known`` are taken from there."""

    def __init__(self, spec: Spec, known: Mapping[str, tuple[ir.Sidecar, ...]] | None = None) -> None:
        self._spec = spec
        self._known = known or {}
        self._services = spec.written.services or {}
        self._gateways = spec.written.gateways or {}
        self._callees = Callees(spec)
        self._callers: dict[str, set[str]] = {name: set() for name in self._services}
        self._zoned: set[str] = set()
        """Callers to whom their own zone matters."""
        self._tls = mtls.tls_context(spec)
        self._access_log = access_logs.access_log(spec)
        self._resolvers = resolvers.resolvers(spec)
        self._tracing = tracing.tracing(spec)
        self._metrics = metrics.metrics(spec)
        self._egress = egress.route(spec)

    def mesh(self) -> ir.Mesh:
        """The resolved mesh."""
        for caller, callee, _ in declared_calls(self._spec):
            self._callers[callee].add(caller)
            if self._callees.by_zone(caller, callee):
                self._zoned.add(caller)
        section = self._spec.written.mesh
        names = sorted((*self._services, *self._gateways))
        return ir.Mesh(
            name=section.name,
            domain=section.domain,
            trust_domain=section.trust_domain,
            certificates=mtls.certificate_policy(self._spec),
            sidecars=tuple(each for name in names for each in self._sidecars(name)),
            calls=tuple(
                sorted((caller, callee) for callee, callers in self._callers.items() for caller in callers)
            ),
        )

    def _sidecars(self, name: str) -> Iterator[ir.Sidecar]:
        if name in self._known:
            yield from self._known[name]
        elif name in self._services:
            yield from self._service(name)
        else:
            yield from self._gateway(name)

    def _service(self, name: str) -> Iterator[ir.Sidecar]:
        service = self._services[name]
        mesh = self._spec.written.mesh
        virtual_hosts = tuple(
            host
            for callee in sorted(service.calls or {})
            for host in self._callees.virtual_hosts(name, callee)
        )
        by_zone: dict[str, tuple[ir.Cluster, ...]] = {}
        for placement in placements(self._spec, service, zoned=name in self._zoned):
            tcp = tuple(local_ports.tcp(self._spec, name, placement))
            zone = placement.zone if name in self._zoned else ""
            if zone not in by_zone:
                by_zone[zone] = tuple(self._clusters(name, zone, virtual_hosts, tcp))
            clusters = by_zone[zone]
            outbound = ir.OutboundListener(
                binds=placement.outbound,
                domain=mesh.domain,
                virtual_hosts=virtual_hosts,
                idle_timeout=timeouts.DEFAULT_IDLE_TIMEOUT,
                egress=self._egress,
                http2=any(each.protocol.multiplexed for each in clusters),
            )
            inbound = self._inbound(name, placement)
            yield ir.Sidecar(
                mesh=mesh.name,
                service=name,
                instance=placement.instance,
                proxy=proxies.proxy(self._spec, service),
                identity=mtls.identity(self._spec, name),
                tls=mtls.own_context(self._tls, inbound, clusters),
                inbound=inbound,
                outbound=outbound,
                admin=ir.AdminListener(placement.admin),
                clusters=clusters,
                access_log=self._access_log,
                locals=tuple(local_ports.http(self._spec, self._callees, name, placement)),
                tcp=tcp,
                health=health.listener(self._spec, "services", name, service, placement),
                resolvers=self._resolvers if any(each.dns for each in clusters) else (),
                tracing=self._tracing,
                metrics=self._metrics,
                asks=tuple(self._service_asks(name)),
            )

    def _gateway(self, name: str) -> Iterator[ir.Sidecar]:
        gateway = self._gateways[name]
        mesh = self._spec.written.mesh
        virtual_hosts = gateways.virtual_hosts(self._spec, name)
        zoned = name in self._zoned
        for placement in gateway_placements(self._spec, gateway, zoned=zoned):
            clusters = tuple(self._clusters(name, placement.zone if zoned else "", virtual_hosts, ()))
            yield ir.Sidecar(
                mesh=mesh.name,
                service=name,
                instance=placement.instance,
                proxy=proxies.proxy(self._spec, gateway),
                identity=mtls.identity(self._spec, name),
                tls=mtls.own_context(self._tls, None, clusters),
                inbound=None,
                outbound=ir.OutboundListener(
                    binds=placement.outbound,
                    domain="",
                    virtual_hosts=virtual_hosts,
                    idle_timeout=timeouts.DEFAULT_IDLE_TIMEOUT,
                    tls=gateways.server_tls(self._spec, name),
                    http2=any(each.protocol.multiplexed for each in clusters),
                ),
                admin=ir.AdminListener(placement.admin),
                clusters=clusters,
                access_log=self._access_log,
                health=health.listener(self._spec, "gateways", name, None, placement),
                resolvers=self._resolvers if any(each.dns for each in clusters) else (),
                tracing=self._tracing,
                metrics=self._metrics,
                asks=tuple(gateways.asks(self._spec, name)),
            )

    def _service_asks(self, name: str) -> Iterator[ir.FeatureUse]:
        service, source = self._services[name], self._spec.source["services"][name]
        yield from asks(source, service, self._spec.written.mesh)
        yield from pending.of_service(service, self._callees.layers(name), source)

    def _inbound(self, name: str, placement: Placement) -> ir.InboundListener | None:
        if placement.application is None:
            return None
        layers = self._callees.layers(name)
        service = self._services[name]
        source = self._spec.source["services"][name]
        speaks = applications.protocol(service)
        return ir.InboundListener(
            binds=placement.inbound,
            application=placement.application,
            authorization=authorization.authorization(self._spec, name, self._callers[name]),
            connect_timeout=timeouts.connect_timeout(layers),
            idle_timeout=timeouts.idle_timeout(layers),
            protocol=speaks,
            rate_limit=rate_limiting.rate_limit(layers) if speaks is not ir.Protocol.TCP else None,
            mtls=mtls.mode(self._spec, name),
            asks=(
                *applications.asks(service, source),
                *pending.of_service(service, layers, source),
                *mtls.asks(self._spec, name),
            ),
        )

    def _clusters(
        self, caller: str, zone: str, hosts: Iterable[ir.VirtualHost], tcp: Iterable[ir.TcpListener]
    ) -> Iterator[ir.Cluster]:
        """Each cluster that a route, a mirror or a TCP listener leads to, by name."""
        routes = [route for host in hosts for route in host.routes]
        used = {backend.cluster for route in routes for backend in route.backends}
        used.update(mirror.cluster for route in routes for mirror in route.mirrors)
        used.update(each.cluster for each in tcp if each.cluster)
        used.update(route.cluster for each in tcp for route in each.sni)
        if self._egress is not None and caller in self._services:
            used.add(egress.NAME)
        for name in sorted(used):
            yield (
                egress.cluster(self._spec)
                if name == egress.NAME
                else self._callees.cluster(caller, zone, name)
            )
