"""Where a sidecar listens, and which endpoints share a bundle.

All endpoints of a service share one bundle that listens on every address of its host, unless
`bind: endpoint` gives each endpoint a bundle that listens on the endpoint's own address; where that is a
loopback address, so are the outbound and admin listeners and the application (a mesh on one machine).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position, Related
from meshctl.resolve.discovery import DEFAULT_INBOUND_PORT
from meshctl.spec import Spec
from meshctl.spec.service import ListenerSpec, ServiceSpec

DEFAULT_OUTBOUND_PORT = 15001
DEFAULT_ADMIN_PORT = 15000
LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - other hosts must reach the inbound listener
ONE_MACHINE = "this machine"
_APART = (
    "Give one service ports of its own (`inbound`, `outbound`, `admin`, `port`), or, for a mesh on one machine, "
    "write `bind: endpoint` under `mesh`."
)


@dataclass(frozen=True, slots=True)
class Placement:
    """One bundle's addresses, and the hosts that it runs on (by the addresses of its endpoints)."""

    instance: str
    hosts: tuple[str, ...]
    inbound: ir.SocketAddress
    outbound: ir.SocketAddress
    admin: ir.SocketAddress
    application: ir.SocketAddress | None


def _setting(
    mesh: ListenerSpec | None, service: ListenerSpec | None, address: str, port: int
) -> ir.SocketAddress:
    for written in (mesh, service):
        if written is not None:
            address = written.address or address
            port = written.port or port
    return ir.SocketAddress(address, port)


def inbound_port(spec: Spec, service: ServiceSpec) -> int:
    """The port of the service's sidecars, unless an endpoint says otherwise."""
    return _setting(spec.written.mesh.inbound, service.inbound, EVERYWHERE, DEFAULT_INBOUND_PORT).port


def placements(spec: Spec, service: ServiceSpec) -> tuple[Placement, ...]:
    """The bundles of one service, sorted by instance."""
    mesh = spec.written.mesh
    inbound = _setting(mesh.inbound, service.inbound, EVERYWHERE, DEFAULT_INBOUND_PORT)
    outbound = _setting(mesh.outbound, service.outbound, LOOPBACK, DEFAULT_OUTBOUND_PORT)
    admin = _setting(mesh.admin, service.admin, LOOPBACK, DEFAULT_ADMIN_PORT)
    app_address = service.app_address or LOOPBACK
    endpoints = [(each.address, each.port or inbound.port) for each in service.endpoints or ()]
    application = ir.SocketAddress(app_address, service.port) if service.port else None
    if (service.bind or mesh.bind) == "endpoint" and endpoints:
        return tuple(_own(each, endpoints, outbound, admin, application) for each in sorted(set(endpoints)))
    ports = sorted({port for _, port in endpoints} or {inbound.port})
    return tuple(
        Placement(
            instance="" if len(ports) == 1 else f"port-{port}",
            hosts=tuple(sorted({address for address, its_port in endpoints if its_port == port})),
            inbound=ir.SocketAddress(inbound.address, port),
            outbound=outbound,
            admin=admin,
            application=application,
        )
        for port in ports
    )


def _own(
    endpoint: tuple[str, int],
    endpoints: list[tuple[str, int]],
    outbound: ir.SocketAddress,
    admin: ir.SocketAddress,
    application: ir.SocketAddress | None,
) -> Placement:
    address, port = endpoint
    shared = len({each for each in endpoints if each[0] == address}) > 1
    here = address if _is_loopback(address) else None
    return Placement(
        instance=f"{address}-{port}" if shared else address,
        hosts=(address,),
        inbound=ir.SocketAddress(address, port),
        outbound=ir.SocketAddress(here or outbound.address, outbound.port),
        admin=ir.SocketAddress(here or admin.address, admin.port),
        application=application and ir.SocketAddress(here or application.address, application.port),
    )


def _is_loopback(address: str) -> bool:
    return address.startswith("127.")


def check(spec: Spec) -> Iterator[Finding]:
    """Listeners that would meet on one host. All loopback endpoints are one machine."""
    taken: dict[tuple[str, int], list[tuple[str, str, Position | None]]] = {}
    for name, service in (spec.written.services or {}).items():
        at = spec.source["services"].at(name)
        for placement in placements(spec, service):
            own: dict[tuple[int, str], str] = {}
            for what, socket in _sockets(placement):
                yield from _check_own(name, what, socket, own, at)
                for host in {_machine(host) for host in placement.hosts}:
                    yield from _check_host(host, socket, f"the {what} of `{name}`", at, taken)


def _machine(host: str) -> str:
    return ONE_MACHINE if _is_loopback(host) else host


def _sockets(placement: Placement) -> Iterator[tuple[str, ir.SocketAddress]]:
    yield "inbound listener", placement.inbound
    yield "outbound listener", placement.outbound
    yield "admin listener", placement.admin
    if placement.application is not None:
        yield "application", placement.application


def _meet(one: str, other: str) -> bool:
    return one == other or EVERYWHERE in (one, other)


def _check_own(
    name: str,
    what: str,
    socket: ir.SocketAddress,
    own: dict[tuple[int, str], str],
    at: Position | None,
) -> Iterator[Finding]:
    for (port, address), other in own.items():
        if port == socket.port and _meet(address, socket.address):
            yield finding(
                "port-conflict", at, f"the {what} of `{name}` has port {port}, and so has its {other}"
            )
    own[socket.port, socket.address] = what


def _check_host(
    host: str,
    socket: ir.SocketAddress,
    what: str,
    at: Position | None,
    taken: dict[tuple[str, int], list[tuple[str, str, Position | None]]],
) -> Iterator[Finding]:
    others = taken.setdefault((host, socket.port), [])
    for address, other, before in others:
        if before != at and _meet(address, socket.address):
            yield finding(
                "port-conflict",
                at,
                f"{what} and {other} are both on port {socket.port} of {host}",
                fix=_APART if address in (EVERYWHERE, LOOPBACK) else "",
                related=(Related(before, "the other one"),) if before else (),
            )
            break
    others.append((socket.address, what, at))
