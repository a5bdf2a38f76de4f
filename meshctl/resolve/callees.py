"""What callees look like to their callers; made once for all those that narrow nothing."""

from __future__ import annotations

from msgspec.structs import replace

from meshctl import ir
from meshctl.resolve import applications, discovery, externals, failover, mtls, placements, routing
from meshctl.resolve.layers import Layers, call_layer, callee_layers, says
from meshctl.spec import Spec

CLUSTER_POLICY = (
    "connect_timeout",
    "idle_timeout",
    "load_balancing",
    "locality",
    "circuit_breaker",
    "outlier_detection",
    "health_check",
)
"""The fields of a layer that hold for a cluster; all others are of routes."""


class Callees:
    """The state of one resolve."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._services = spec.written.services or {}
        self._externals = spec.written.externals or {}
        self._layers: dict[str, Layers] = {
            name: callee_layers(spec, name) for name in (*self._services, *self._externals)
        }
        self._tables: dict[str, routing.RouteTable] = {}
        self._virtual_hosts: dict[tuple[str, str], tuple[ir.VirtualHost, ...]] = {}
        self._clusters: dict[tuple[str, str], ir.Cluster] = {}
        self._by_zone: dict[str, bool] = {}

    def layers(self, name: str) -> Layers:
        """What `defaults` and the service or external itself say."""
        return self._layers[name]

    def virtual_hosts(self, caller: str, callee: str) -> tuple[ir.VirtualHost, ...]:
        """The names of a callee and the routes behind them; its own names come first. None for TCP."""
        call = call_layer(self._spec, caller, callee)
        own = bool(call and says(call, *routing.POLICY)) or caller in self._named_callers(callee)
        key = (caller if own else "", callee)
        if key not in self._virtual_hosts:
            layers = (*self._layers[callee], *call) if own else self._layers[callee]
            self._virtual_hosts[key] = self._made(caller, callee, layers)
        return self._virtual_hosts[key]

    def _made(self, caller: str, callee: str, layers: Layers) -> tuple[ir.VirtualHost, ...]:
        if callee in self._externals:
            return externals.virtual_hosts(self._spec, callee, layers)
        if applications.protocol(self._services[callee]) is ir.Protocol.TCP:
            return ()
        return self._table(callee).virtual_hosts(caller, lambda _: layers)

    def _named_callers(self, callee: str) -> frozenset[str]:
        """Those who see routes of their own."""
        return self._table(callee).callers if callee in self._services else frozenset()

    def _table(self, callee: str) -> routing.RouteTable:
        if callee not in self._tables:
            source = self._spec.source["services"][callee]
            domain = self._spec.written.mesh.domain
            self._tables[callee] = routing.table(callee, self._services[callee], domain, source)
        return self._tables[callee]

    def by_zone(self, caller: str, callee: str) -> bool:
        """Whether the zone of the caller matters to where its requests for a callee go."""
        if callee not in self._services or not self._services[callee].endpoints:
            return False
        call = call_layer(self._spec, caller, callee)
        if call and says(call, "locality"):
            return _prefers_own((*self._layers[callee], *call))
        if callee not in self._by_zone:
            self._by_zone[callee] = _prefers_own(self._layers[callee])
        return self._by_zone[callee]

    def cluster(self, caller: str, zone: str, name: str) -> ir.Cluster:
        """A callee, a part of it, or a host of an external, as the caller in a zone reaches it."""
        target, _, part = name.partition(".")
        call = call_layer(self._spec, caller, target)
        narrowed = bool(call) and says(call, *CLUSTER_POLICY)
        key = (name, zone if self.by_zone(caller, target) else "")
        if not narrowed and key in self._clusters:
            return self._clusters[key]
        layers = (*self._layers[target], *call)
        if target in self._externals:
            made = externals.cluster(self._spec, target, part, layers)
        else:
            service = self._services[target]
            made = discovery.cluster(
                target,
                part or None,
                service,
                mtls.identity(self._spec, target),
                placements.inbound_port(self._spec, service),
                layers,
                zone,
                self._spec.source["services"][target],
            )
            if mtls.mode(self._spec, target) is ir.MtlsMode.DISABLED:
                made = replace(made, plaintext=True, asks=(*made.asks, *mtls.asks(self._spec, target)))
        if not narrowed:
            self._clusters[key] = made
        return made


def _prefers_own(layers: Layers) -> bool:
    wanted = failover.locality(layers)
    return wanted is not None and wanted.prefer_same_zone
