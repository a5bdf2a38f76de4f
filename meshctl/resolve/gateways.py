"""Gateways: a listener that faces the world, and routes to the services that the gateway calls.

Lowered to a sidecar without an application: what comes in takes the outbound path. A callee's own routes are
for callers inside the mesh; a gateway has routes of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import structs

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding
from meshctl.resolve import placements, routing
from meshctl.resolve.layers import Layers, call_layer, callee_layers, default_layers
from meshctl.spec import Source, Spec
from meshctl.spec.gateways import GatewaySpec
from meshctl.spec.routing import RouteSpec
from meshctl.suggestions import nearest

ANY_HOST = "*"
TLS_PORTS = (443, 8443)


def only_call(gateway: GatewaySpec) -> str | None:
    """The callee, where there is exactly one."""
    calls = list(gateway.calls or {})
    return calls[0] if len(calls) == 1 else None


def first_callee(gateway: GatewaySpec, route: RouteSpec) -> str | None:
    """The callee whose policy holds for a route: that of its first backend."""
    return next((each.service for each in route.backends or () if each.service), only_call(gateway))


def reached(gateway: GatewaySpec) -> set[str]:
    """The services that its routes lead to, and those that it may call."""
    named = {
        each.service
        for route in gateway.routes or ()
        for each in (*(route.backends or ()), *(route.mirror or ()))
        if each.service
    }
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
        callee = first_callee(gateway, route)
        if callee is None:
            return default_layers(spec)
        if callee not in known:
            known[callee] = (*callee_layers(spec, callee), *call_layer(spec, name, callee))
        return known[callee]

    return tuple(
        structs.replace(host, asks=(*host.asks, *_asked_wildcards(gateway, source, host.hostnames)))
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
    yield from placements.asks(source, (spec.written.gateways or {})[name])


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


def check(spec: Spec) -> Iterator[Finding]:
    """Faults of gateways and of where their routes lead."""
    for name, gateway in (spec.written.gateways or {}).items():
        source = spec.source["gateways"][name]
        if not gateway.calls:
            yield finding("missing-key", source.here, f"the gateway `{name}` calls nobody: it has no `calls`")
        if not gateway.routes and len(gateway.calls or {}) > 1:
            message = f"the gateway `{name}` calls several services, and has no `routes` that say which request is whose"
            yield finding(
                "missing-key", source.here, message, fix="Write `routes`, each with its `backends`."
            )
        for callee, call in (gateway.calls or {}).items():
            if call.local_port:
                at = source["calls"][callee].at("localPort")
                message = f"no application uses the local ports of the gateway `{name}`"
                idle = source["calls"][callee].part("localPort")
                yield finding("ineffective-setting", at, message, remove=idle)
        for index, route in enumerate(gateway.routes or ()):
            yield from _check_route(gateway, route, source["routes"][index])
        yield from _check_names(gateway, source)
        public = gateway.bind is None or not placements.is_loopback(gateway.bind)
        if gateway.tls is None and gateway.port in TLS_PORTS and public:
            message = f"the gateway `{name}` serves plain HTTP on port {gateway.port}"
            yield finding("plain-on-tls-port", source.at("port"), message)


def _check_route(gateway: GatewaySpec, route: RouteSpec, source: Source) -> Iterator[Finding]:
    calls = gateway.calls or {}
    named = [("backends", index, each.service) for index, each in enumerate(route.backends or ())]
    named += [("mirror", index, each.service) for index, each in enumerate(route.mirror or ())]
    for key, index, service in named:
        if service is not None and service not in calls:
            close = nearest(service, calls)
            yield finding(
                "backend-not-called",
                source[key][index].at("service"),
                f"`{service}` is none of this gateway's `calls`",
                fix=f"Did you mean `{close}`? Else list it under `calls`." if close else "",
            )
    if not (route.backends or route.redirect or route.respond) and len(calls) > 1:
        message = f"the route `{route.name}` does not say which of {len(calls)} callees it leads to"
        yield finding("missing-key", source.at("name"), message, fix="Write `backends`.")


def _check_names(gateway: GatewaySpec, source: Source) -> Iterator[Finding]:
    listed = gateway.hostnames or []
    for index, host in enumerate(listed):
        if host in listed[:index]:
            names = source["hostnames"]
            message = f"`{host}` is here twice"
            yield finding("repeated-item", names.at(index), message, remove=names.part(index))
