"""Where a sidecar listens, and which endpoints share a bundle.

All endpoints of a service share one bundle that listens on every address of its host, unless
`bind: endpoint` gives each endpoint a bundle that listens on the endpoint's own address; where that is a
loopback address, so are the other listeners and the application (a mesh on one machine). IPv6 is listened on
only where an endpoint has such an address: on a host without IPv6 a proxy would not start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from meshctl import ir
from meshctl.resolve import applications
from meshctl.resolve.discovery import DEFAULT_INBOUND_PORT
from meshctl.spec import Source, Spec
from meshctl.spec.discovery import EndpointSpec
from meshctl.spec.gateways import GatewaySpec
from meshctl.spec.mesh import MeshSection
from meshctl.spec.service import ListenerSpec, ServiceSpec

DEFAULT_OUTBOUND_PORT = 15001
DEFAULT_ADMIN_PORT = 15000
DEFAULT_HEALTH_PORT = 15021
LISTENERS = ("inbound", "outbound", "admin", "health")
LOOPBACK, LOOPBACK_6 = "127.0.0.1", "::1"
EVERYWHERE, EVERYWHERE_6 = "0.0.0.0", "::"  # noqa: S104 - other hosts must reach some listeners


@dataclass(frozen=True, slots=True)
class Placement:
    """One bundle's addresses, and the hosts that it runs on (by the addresses of its endpoints).

    A gateway has no inbound listener, and its outbound one faces the world.
    """

    instance: str
    hosts: tuple[str, ...]
    inbound: tuple[ir.SocketAddress, ...]
    outbound: tuple[ir.SocketAddress, ...]
    admin: ir.SocketAddress
    application: ir.SocketAddress | None
    health: tuple[ir.SocketAddress, ...]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A listener as written: no address means the usual ones."""

    address: str | None
    port: int


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the bundles of one service or gateway have in common."""

    inbound: _Wanted | None
    outbound: _Wanted
    admin: _Wanted
    health: _Wanted | None
    application: ir.SocketAddress | None
    facing: bool = False
    """Whether the outbound listener faces the world."""


def inbound_port(spec: Spec, service: ServiceSpec) -> int:
    """The port of the service's sidecars, unless an endpoint says otherwise."""
    return _wanted(spec.written.mesh.inbound, service.inbound, DEFAULT_INBOUND_PORT).port


def placements(spec: Spec, service: ServiceSpec) -> tuple[Placement, ...]:
    """The bundles of one service, sorted by instance."""
    mesh = spec.written.mesh
    port = applications.port(service)
    plan = _Plan(
        inbound=_wanted(mesh.inbound, service.inbound, DEFAULT_INBOUND_PORT),
        outbound=_wanted(mesh.outbound, service.outbound, DEFAULT_OUTBOUND_PORT),
        admin=_wanted(mesh.admin, service.admin, DEFAULT_ADMIN_PORT),
        health=_health(mesh.health, service.health),
        application=ir.SocketAddress(service.app_address or LOOPBACK, port) if port else None,
    )
    own = (service.bind or mesh.bind) == "endpoint"
    return _bundles(plan, service.endpoints or [], inbound_port(spec, service), own=own)


def gateway_placements(spec: Spec, gateway: GatewaySpec) -> tuple[Placement, ...]:
    """The bundles of one gateway, sorted by instance."""
    mesh = spec.written.mesh
    plan = _Plan(
        inbound=None,
        outbound=_Wanted(gateway.bind, gateway.port),
        admin=_wanted(mesh.admin, gateway.admin, DEFAULT_ADMIN_PORT),
        health=_health(mesh.health, gateway.health),
        application=None,
        facing=True,
    )
    return _bundles(plan, gateway.endpoints or [], gateway.port, own=mesh.bind == "endpoint")


def _wanted(mesh: ListenerSpec | None, own: ListenerSpec | None, port: int) -> _Wanted:
    address = None
    for written in (mesh, own):
        if written is not None:
            address = written.address or address
            port = written.port or port
    return _Wanted(address, port)


def _health(mesh: ListenerSpec | None, own: ListenerSpec | None) -> _Wanted | None:
    return _wanted(mesh, own, DEFAULT_HEALTH_PORT) if mesh or own else None


def _bundles(plan: _Plan, endpoints: list[EndpointSpec], port: int, *, own: bool) -> tuple[Placement, ...]:
    sockets = [(each.address, each.port or port) for each in endpoints]
    if own and sockets:
        shared = {address for address, _ in sockets if len({p for a, p in sockets if a == address}) > 1}
        return tuple(
            _placement(plan, f"{address}-{its}" if address in shared else address, [address], its, own=True)
            for address, its in sorted(set(sockets))
        )
    ports = sorted({its for _, its in sockets} or {port})
    return tuple(
        _placement(
            plan,
            "" if len(ports) == 1 else f"port-{its}",
            sorted({address for address, its_port in sockets if its_port == its}),
            its,
            own=False,
        )
        for its in ports
    )


def _placement(plan: _Plan, instance: str, hosts: list[str], port: int, *, own: bool) -> Placement:
    """One bundle; with ``own`` it is that of a single endpoint, and on its address."""
    facing = hosts[:1] if own else _usual(hosts, EVERYWHERE, EVERYWHERE_6)
    here = own and is_loopback(hosts[0])
    local = hosts[:1] if here else _usual(hosts, LOOPBACK, LOOPBACK_6, always=True)
    admin = hosts[0] if here else plan.admin.address or LOOPBACK
    application = plan.application
    if here and application is not None:
        application = ir.SocketAddress(hosts[0], application.port)
    inbound = plan.inbound and _Wanted(None if own else plan.inbound.address, port)
    outbound = _Wanted(plan.outbound.address, port) if plan.facing else plan.outbound
    return Placement(
        instance=instance,
        hosts=tuple(hosts),
        inbound=_sockets(inbound, facing) if inbound else (),
        outbound=_sockets(outbound, facing if plan.facing else local, overrule=here and not plan.facing),
        admin=ir.SocketAddress(admin, plan.admin.port),
        application=application,
        health=_sockets(plan.health, facing, overrule=here) if plan.health else (),
    )


def _usual(hosts: Iterable[str], ipv4: str, ipv6: str, *, always: bool = False) -> list[str]:
    """The addresses of both families that are known to be there; IPv4 where nothing is, or ``always``."""
    sixes = [":" in each for each in hosts]
    return [*([ipv4] if always or not all(sixes) or not sixes else []), *([ipv6] if any(sixes) else [])]


def _sockets(wanted: _Wanted, usual: list[str], *, overrule: bool = False) -> tuple[ir.SocketAddress, ...]:
    addresses = usual if overrule or wanted.address is None else [wanted.address]
    return tuple(ir.SocketAddress(each, wanted.port) for each in addresses)


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches it."""
    return address.startswith("127.") or address == LOOPBACK_6


def asks(
    source: Source, written: ServiceSpec | GatewaySpec, mesh: MeshSection | None = None
) -> Iterator[ir.FeatureUse]:
    """IPv6, at the first address of that kind: of an endpoint, or of a listener here or in the ``mesh``."""
    for path in _ipv6(written, mesh):
        at = source.at(*path)
        if at is not None:
            yield ir.FeatureUse(ir.Feature.IPV6, at)
            return


def _ipv6(written: ServiceSpec | GatewaySpec, mesh: MeshSection | None) -> Iterator[tuple[str | int, ...]]:
    """Below what each such address is written; nothing is below the owner for one of the mesh."""
    for index, each in enumerate(written.endpoints or ()):
        if ":" in each.address:
            yield "endpoints", index, "address"
    for field, key in (("bind", "bind"), ("app_address", "appAddress")):
        if ":" in (getattr(written, field, None) or ""):
            yield (key,)
    for owner in (written, mesh):
        for key in LISTENERS:
            listener: ListenerSpec | None = getattr(owner, key, None)
            if listener is not None and ":" in (listener.address or ""):
                yield (key, "address") if owner is written else ()
