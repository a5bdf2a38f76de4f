"""Local ports: a callee on a port of the caller's loopback, for TCP and for clients that cannot choose a Host."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import structs

from meshctl import ir
from meshctl.resolve import applications, externals, timeouts
from meshctl.resolve.callees import Callees
from meshctl.resolve.listeners import local_ports
from meshctl.resolve.placements import Placement
from meshctl.spec import Spec

ANY_HOST = "*"


def protocol(spec: Spec, callee: str) -> ir.Protocol:
    """What a callee, a service or external, speaks."""
    service = (spec.written.services or {}).get(callee)
    if service is not None:
        return applications.protocol(service)
    return externals.protocol((spec.written.externals or {})[callee])


def http(spec: Spec, callees: Callees, caller: str, placement: Placement) -> Iterator[ir.OutboundListener]:
    """One listener for each HTTP callee that has a local port."""
    for callee, binds in _binds(spec, caller, placement, streams=False):
        seen = callees.virtual_hosts(caller, callee)[0]
        at = spec.source["services"][caller].at("calls", callee, "localPort")
        use = (ir.FeatureUse(ir.Feature.LOCAL_PORT, at),) if at is not None else ()
        yield ir.OutboundListener(
            binds=binds,
            domain=spec.written.mesh.domain,
            virtual_hosts=(
                ir.VirtualHost(
                    callee, (ANY_HOST,), tuple(_routes(spec, callee, seen)), asks=(*seen.asks, *use)
                ),
            ),
            idle_timeout=timeouts.DEFAULT_IDLE_TIMEOUT,
            http2=protocol(spec, callee).multiplexed,
        )


def _routes(spec: Spec, callee: str, seen: ir.VirtualHost) -> Iterator[ir.Route]:
    """An external must be told its own host: the client of a local port names another."""
    external = (spec.written.externals or {}).get(callee)
    for each in seen.routes:
        if external is None:
            yield each
        else:
            yield structs.replace(each, rewrite=ir.Rewrite(hostname=externals.only_host(external)))


def tcp(spec: Spec, caller: str, placement: Placement) -> Iterator[ir.TcpListener]:
    """One listener for each TCP callee; externals that pass TLS through share one where they share a port."""
    shared: dict[tuple[ir.SocketAddress, ...], list[ir.SniRoute]] = {}
    for callee, binds in _binds(spec, caller, placement, streams=True):
        at = spec.source["services"][caller].at("calls", callee, "localPort")
        external = (spec.written.externals or {}).get(callee)
        if external is not None and externals.passes_through(external):
            shared.setdefault(binds, []).extend(externals.sni_routes(external, callee, at))
        else:
            yield ir.TcpListener(binds, callee, callee, at=at)
    for binds, routes in shared.items():
        yield ir.TcpListener(binds, "", "", tuple(routes))


def _binds(
    spec: Spec, caller: str, placement: Placement, *, streams: bool
) -> Iterator[tuple[str, tuple[ir.SocketAddress, ...]]]:
    calls = (spec.written.services or {})[caller].calls
    for callee, port in sorted(local_ports(calls).items()):
        if (protocol(spec, callee) is ir.Protocol.TCP) is streams:
            yield callee, tuple(ir.SocketAddress(each.address, port) for each in placement.outbound)
