"""Gateways: a listener that faces the world, and routes to the services that the gateway calls.

Lowered to a sidecar without an application: what comes in takes the outbound path. A callee's own routes are
for callers inside the mesh; a gateway has routes of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from meshctl import ir
from meshctl.resolve import placements, routing
from meshctl.resolve.layers import Layers, call_layer, callee_layers, default_layers
from meshctl.spec import Source, Spec
from meshctl.spec.gateways import GatewaySpec
from meshctl.spec.routing import RouteSpec

ANY_HOST = "*"


def only_call(gateway: GatewaySpec) -> str | None:
    """The callee, where there is exactly one."""
    calls = list(gateway.calls or {})
    return calls[0] if len(calls) == 1 else None


def reached(gateway: GatewaySpec) -> set[str]:
    """The services that its routes lead to, and those that it may call."""
    named = {each.service for route in gateway.routes or () for each in route.backends or () if each.service}
    return named | set(gateway.calls or {})


def virtual_hosts(spec: Spec, name: str) -> tuple[ir.VirtualHost, ...]:
    """The gateway's host names, any host where it has none."""
    gateway = (spec.written.gateways or {})[name]
    source = spec.source["gateways"][name]
    table = routing.RouteTable(
        name,
        gateway.hostnames or (ANY_HOST,),
        gateway.routes,
        source,
        listed=gateway.route_order == "listed",
        target=only_call(gateway) or "",
    )
    known: dict[str, Layers] = {}

    def layers_of(route: RouteSpec) -> Layers:
        """The policy of a route is that of its first backend, as the gateway calls it."""
        callee = next((each.service for each in route.backends or () if each.service), only_call(gateway))
        if callee is None:
            return default_layers(spec)
        if callee not in known:
            known[callee] = (*callee_layers(spec, callee), *call_layer(spec, name, callee))
        return known[callee]

    return tuple(
        dataclasses.replace(host, asks=(*host.asks, *_asked_wildcards(gateway, source, host.hostnames)))
        for host in table.virtual_hosts(name, layers_of)
    )


def _asked_wildcards(gateway: GatewaySpec, source: Source, names: tuple[str, ...]) -> Iterator[ir.FeatureUse]:
    for index, host in enumerate(gateway.hostnames or ()):
        at = source["hostnames"].at(index)
        if host in names and host.startswith(routing.WILDCARD) and at is not None:
            yield ir.FeatureUse(ir.Feature.WILDCARD_HOSTS, at)


def asks(spec: Spec, name: str) -> Iterator[ir.FeatureUse]:
    """What its proxy must be able to do."""
    source = spec.source["gateways"][name]
    if source.here is not None:
        yield ir.FeatureUse(ir.Feature.GATEWAY, source.here)
    yield from placements.asks(source, (spec.written.gateways or {})[name].endpoints)


def server_tls(spec: Spec, name: str) -> ir.ServerTls | None:
    """What clients outside the mesh are shown; plain HTTP where nothing is written."""
    written = (spec.written.gateways or {})[name].tls
    if written is None:
        return None
    return ir.ServerTls(
        certificate=written.certificate,
        key=written.key,
        minimum_version=ir.TlsVersion(written.min_version or ir.TlsVersion.V1_2),
        at=spec.source["gateways"][name].at("tls"),
    )
