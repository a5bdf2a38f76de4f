"""The mesh from its features: one sidecar per bundle, with what its service calls and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl import ir
from meshctl.resolve import access_logs, authorization, discovery, listeners, mtls, routing, timeouts
from meshctl.resolve.layers import Layers, call_layer, says, service_layers
from meshctl.spec import Spec

DEFAULT_PROXY = ir.Proxy.ENVOY


class Assembly:
    """The state of one resolve: what callees look like to callers that narrow nothing is made once."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._services = spec.written.services or {}
        self._layers: dict[str, Layers] = {name: service_layers(spec, name) for name in self._services}
        self._virtual_hosts: dict[str, ir.VirtualHost] = {}
        self._clusters: dict[str, ir.Cluster] = {}
        self._callers: dict[str, set[str]] = {name: set() for name in self._services}
        self._tls = mtls.tls_context(spec)
        self._access_log = access_logs.access_log(spec)

    def mesh(self) -> ir.Mesh:
        """The resolved mesh."""
        for caller, service in self._services.items():
            for callee in service.calls or {}:
                for reached in self._reached(callee):
                    self._callers[reached].add(caller)
        section = self._spec.written.mesh
        return ir.Mesh(
            name=section.name,
            domain=section.domain,
            trust_domain=section.trust_domain,
            certificates=mtls.certificate_policy(self._spec),
            sidecars=tuple(each for name in sorted(self._services) for each in self._sidecars(name)),
            calls=tuple(
                sorted((caller, callee) for callee, callers in self._callers.items() for caller in callers)
            ),
        )

    def _reached(self, callee: str) -> set[str]:
        """The callee, and the services that its routes send requests on to."""
        routes = self._services[callee].routes or ()
        return {callee} | {each.service for route in routes for each in route.backends or () if each.service}

    def _sidecars(self, name: str) -> Iterator[ir.Sidecar]:
        service = self._services[name]
        mesh = self._spec.written.mesh
        virtual_hosts = tuple(self._virtual_host(name, callee) for callee in sorted(service.calls or {}))
        used = {
            backend.cluster for host in virtual_hosts for route in host.routes for backend in route.backends
        }
        clusters = tuple(self._cluster(name, each) for each in sorted(used))
        layers = self._layers[name]
        for placement in listeners.placements(self._spec, service):
            sidecar = ir.Sidecar(
                mesh=mesh.name,
                service=name,
                instance=placement.instance,
                proxy=ir.Proxy(service.proxy or mesh.proxy or DEFAULT_PROXY),
                identity=mtls.identity(self._spec, name),
                tls=self._tls,
                inbound=self._inbound(name, placement, layers),
                outbound=ir.OutboundListener(
                    binds=(placement.outbound,),
                    domain=mesh.domain,
                    virtual_hosts=virtual_hosts,
                    idle_timeout=timeouts.DEFAULT_IDLE_TIMEOUT,
                ),
                admin=ir.AdminListener(placement.admin),
                clusters=clusters,
                access_log=self._access_log,
            )
            yield sidecar

    def _inbound(
        self, name: str, placement: listeners.Placement, layers: Layers
    ) -> ir.InboundListener | None:
        if placement.application is None:
            return None
        return ir.InboundListener(
            binds=(placement.inbound,),
            application=placement.application,
            authorization=authorization.authorization(self._spec, self._callers[name]),
            connect_timeout=timeouts.connect_timeout(layers),
            idle_timeout=timeouts.idle_timeout(layers),
        )

    def _virtual_host(self, caller: str, callee: str) -> ir.VirtualHost:
        service = self._services[callee]
        source = self._spec.source["services"][callee]
        seen = self._virtual_hosts.get(callee)
        if seen is None:
            names = routing.hostnames(callee, self._spec.written.mesh.domain)
            routes = routing.routes(callee, service, source, self._layers[callee])
            seen = self._virtual_hosts[callee] = ir.VirtualHost(callee, names, routes)
        call = call_layer(self._spec, caller, callee)
        if not says(call, "timeout", "retries"):
            return seen
        routes = routing.narrowed(seen.routes, service, source, (*self._layers[callee], *call))
        return ir.VirtualHost(callee, seen.hostnames, routes)

    def _cluster(self, caller: str, name: str) -> ir.Cluster:
        target, _, subset = name.partition(".")
        call = call_layer(self._spec, caller, target)
        narrowed = says(call, "connect_timeout", "idle_timeout")
        if not narrowed and name in self._clusters:
            return self._clusters[name]
        service = self._services[target]
        made = discovery.cluster(
            target,
            subset or None,
            service,
            mtls.identity(self._spec, target),
            listeners.inbound_port(self._spec, service),
            (*self._layers[target], *call),
            self._spec.source["services"][target],
        )
        if not narrowed:
            self._clusters[name] = made
        return made
