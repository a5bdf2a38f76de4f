"""Where a sidecar listens, and which endpoints share a bundle.

All endpoints of a service share one bundle that listens on every address of its host, or those of one zone do
where it matters to a callee's locality, unless `bind: endpoint` gives each endpoint a bundle that listens on the endpoint's own address; where that is a
loopback address, so are the other listeners and the application (a mesh on one machine). IPv6 is listened on
only where an endpoint has such an address: on a host without IPv6 a proxy would not start.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from msgspec import Struct

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


class Placement(Struct, frozen=True):
    """One bundle's addresses, and the hosts that it runs on (by the addresses of its endpoints).

    A gateway has no inbound listener, and its outbound one faces the world. ``zone`` is that of all its hosts;
    empty where it is not known, or where they are in several.
    """

    instance: str
    zone: str
    hosts: tuple[str, ...]
    inbound: tuple[ir.SocketAddress, ...]
    outbound: tuple[ir.SocketAddress, ...]
    admin: ir.SocketAddress
    application: ir.SocketAddress | None
    health: tuple[ir.SocketAddress, ...]


class _Wanted(Struct, frozen=True):
    """A listener as written: no address means the usual ones."""

    address: str | None
    port: int


class _Plan(Struct, frozen=True):
    """What the bundles of one service or gateway have in common."""

    inbound: _Wanted | None
    outbound: _Wanted
    admin: _Wanted
    health: _Wanted | None
    application: ir.SocketAddress | None
    zone: str
    """Of those endpoints that name none, and of the bundle where there are no endpoints."""
    facing: bool = False
    """Whether the outbound listener faces the world."""


class _Host(Struct, frozen=True):
    """Where one endpoint is."""

    address: str
    port: int
    zone: str


def inbound_port(spec: Spec, service: ServiceSpec) -> int:
    """The port of the service's sidecars, unless an endpoint says otherwise."""
    return _wanted(spec.written.mesh.inbound, service.inbound, DEFAULT_INBOUND_PORT).port


def placements(spec: Spec, service: ServiceSpec, *, zoned: bool = False) -> tuple[Placement, ...]:
    """The bundles of one service, sorted by instance; with ``zoned`` none has endpoints in two zones."""
    mesh = spec.written.mesh
    port = applications.port(service)
    inbound = _wanted(mesh.inbound, service.inbound, DEFAULT_INBOUND_PORT)
    plan = _Plan(
        inbound=inbound,
        outbound=_wanted(mesh.outbound, service.outbound, DEFAULT_OUTBOUND_PORT),
        admin=_wanted(mesh.admin, service.admin, DEFAULT_ADMIN_PORT),
        health=_health(mesh.health, service.health),
        application=ir.SocketAddress(service.app_address or LOOPBACK, port) if port else None,
        zone=service.zone or "",
    )
    own = (service.bind or mesh.bind) == "endpoint"
    hosts = _hosts(service.endpoints, inbound.port, plan.zone)
    return _bundles(plan, hosts, own=own, zoned=zoned)


def endpoints(spec: Spec, name: str) -> tuple[ir.SocketAddress, ...]:
    """Where a service's sidecars are, as its endpoints are listed; nothing for one that is discovered."""
    service = (spec.written.services or {})[name]
    hosts = _hosts(service.endpoints, inbound_port(spec, service), "")
    return tuple(dict.fromkeys(ir.SocketAddress(each.address, each.port) for each in hosts))


def gateway_placements(spec: Spec, gateway: GatewaySpec, *, zoned: bool = False) -> tuple[Placement, ...]:
    """The bundles of one gateway, sorted by instance; ``zoned`` as of a service."""
    mesh = spec.written.mesh
    plan = _Plan(
        inbound=None,
        outbound=_Wanted(gateway.bind, gateway.port),
        admin=_wanted(mesh.admin, gateway.admin, DEFAULT_ADMIN_PORT),
        health=_health(mesh.health, gateway.health),
        application=None,
        zone=gateway.zone or "",
        facing=True,
    )
    hosts = _hosts(gateway.endpoints, gateway.port, plan.zone)
    return _bundles(plan, hosts, own=mesh.bind == "endpoint", zoned=zoned)


def hosts(spec: Spec, sidecar: ir.Sidecar) -> tuple[str, ...]:
    """The addresses of the hosts that one bundle runs on, as the spec lists them, sorted."""
    services, gateways = spec.written.services or {}, spec.written.gateways or {}
    for zoned in (False, True):
        name = sidecar.service
        found = (
            gateway_placements(spec, gateways[name], zoned=zoned)
            if name in gateways
            else placements(spec, services[name], zoned=zoned)
        )
        for each in found:
            if each.instance == sidecar.instance:
                return each.hosts
    return ()


def _hosts(endpoints: list[EndpointSpec] | None, port: int, zone: str) -> list[_Host]:
    return [_Host(each.address, each.port or port, each.zone or zone) for each in endpoints or ()]


def _wanted(mesh: ListenerSpec | None, own: ListenerSpec | None, port: int) -> _Wanted:
    address = None
    for written in (mesh, own):
        if written is not None:
            address = written.address or address
            port = written.port or port
    return _Wanted(address, port)


def _health(mesh: ListenerSpec | None, own: ListenerSpec | None) -> _Wanted | None:
    return _wanted(mesh, own, DEFAULT_HEALTH_PORT) if mesh or own else None


def _bundles(plan: _Plan, hosts: list[_Host], *, own: bool, zoned: bool) -> tuple[Placement, ...]:
    if not hosts:
        port = plan.outbound.port if plan.inbound is None else plan.inbound.port
        return (_placement(plan, "", [_Host("", port, plan.zone)], own=False),)
    if own:
        ports: dict[str, set[int]] = {}
        for each in hosts:
            ports.setdefault(each.address, set()).add(each.port)
        unique = sorted(set(hosts), key=lambda each: (each.address, each.port))
        return tuple(
            _placement(
                plan, f"{it.address}-{it.port}" if len(ports[it.address]) > 1 else it.address, [it], own=True
            )
            for it in unique
        )
    groups: dict[tuple[int, str], list[_Host]] = {}
    for each in hosts:
        groups.setdefault((each.port, each.zone if zoned else ""), []).append(each)
    return tuple(_placement(plan, _instance(groups, key), groups[key], own=False) for key in sorted(groups))


def _instance(groups: Collection[tuple[int, str]], key: tuple[int, str]) -> str:
    """The name of a bundle that shares its service's endpoints with others: by what tells them apart."""
    port, zone = key
    parts = [f"port-{port}"] if len({its for its, _ in groups}) > 1 else []
    if len({its for _, its in groups}) > 1:
        parts.append(f"zone-{zone}" if zone else "no-zone")
    return "-".join(parts)


def _placement(plan: _Plan, instance: str, hosts: list[_Host], *, own: bool) -> Placement:
    """One bundle; with ``own`` it is that of a single endpoint, and on its address. All hosts have the same port."""
    addresses = sorted({each.address for each in hosts if each.address})
    zones, port = {each.zone for each in hosts}, hosts[0].port
    facing = addresses[:1] if own else _usual(addresses, EVERYWHERE, EVERYWHERE_6)
    here = own and is_loopback(addresses[0])
    local = addresses[:1] if here else _usual(addresses, LOOPBACK, LOOPBACK_6, always=True)
    admin = addresses[0] if here else plan.admin.address or LOOPBACK
    application = plan.application
    if here and application is not None:
        application = ir.SocketAddress(addresses[0], application.port)
    inbound = plan.inbound and _Wanted(None if own else plan.inbound.address, port)
    outbound = _Wanted(plan.outbound.address, port) if plan.facing else plan.outbound
    return Placement(
        instance=instance,
        zone=zones.pop() if len(zones) == 1 else "",
        hosts=tuple(addresses),
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
