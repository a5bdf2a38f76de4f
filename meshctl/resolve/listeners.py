"""Listeners that would meet on one host: two sidecars on one port would speak for each other."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from msgspec import Struct, field

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position, Related
from meshctl.resolve import externals
from meshctl.resolve.placements import (
    EVERYWHERE,
    EVERYWHERE_6,
    LOOPBACK,
    Placement,
    gateway_placements,
    is_loopback,
    placements,
)
from meshctl.spec import Source, Spec
from meshctl.spec.policy import CallSpec
from meshctl.spec.service import ListenerSpec

ONE_MACHINE = "this machine"
_APART = (
    "Give one service ports of its own (`inbound`, `outbound`, `admin`, `port`), or, for a mesh on one machine, "
    "write `bind: endpoint` under `mesh`."
)


class _Socket(Struct, frozen=True):
    """Something that listens. ``owner`` is the service or gateway."""

    owner: str
    what: str
    socket: ir.SocketAddress
    source: Source
    path: tuple[str, ...] = ()
    """Where it was written, below ``source``."""
    shares: bool = False
    """Whether others that share too may have the same port: the names in TLS tell connections apart."""

    @property
    def at(self) -> Position | None:
        return self.source.at(*self.path)

    @property
    def told(self) -> str:
        return f"the {self.what} of `{self.owner}`"


class _Taken(Struct):
    """What listens already, by host and port."""

    sockets: dict[tuple[str, int], list[_Socket]] = field(default_factory=dict)


_Meeting = tuple[str, str, Position | None]
"""The host, the other owner, and the place here."""


def local_ports(calls: dict[str, CallSpec] | None) -> dict[str, int]:
    """The local port of each callee that has one."""
    return {callee: call.local_port for callee, call in (calls or {}).items() if call.local_port}


def check(spec: Spec) -> Iterator[Finding]:
    """Ports that two listeners want, of one sidecar or of two. All loopback endpoints are one machine."""
    taken = _Taken()
    for name, service in (spec.written.services or {}).items():
        source = spec.source["services"][name]
        for placement in placements(spec, service):
            local = local_ports(service.calls)
            passed = {each for each in local if externals.is_passed_through(spec, each)}
            own = [*_of(name, placement, source), *_local(name, placement, local, source, passed)]
            yield from _check(name, own, placement, taken)
    for name, gateway in (spec.written.gateways or {}).items():
        source = spec.source["gateways"][name]
        for placement in gateway_placements(spec, gateway):
            yield from _check(name, list(_of(name, placement, source)), placement, taken)


def check_exposure(spec: Spec) -> Iterator[Finding]:
    """Addresses off loopback, where only a sidecar and its own application have business."""
    mesh, written = spec.source["mesh"], spec.written
    yield from _open(mesh, "outbound", written.mesh.outbound)
    yield from _open(mesh, "admin", written.mesh.admin)
    for name, service in (written.services or {}).items():
        source = spec.source["services"][name]
        yield from _open(source, "outbound", service.outbound)
        yield from _open(source, "admin", service.admin)
        if service.app_address is not None and not is_loopback(service.app_address):
            yield _exposed(source.at("appAddress"), "application", service.app_address)
    for name, gateway in (written.gateways or {}).items():
        yield from _open(spec.source["gateways"][name], "admin", gateway.admin)


def _open(source: Source, which: str, listener: ListenerSpec | None) -> Iterator[Finding]:
    if listener is not None and listener.address is not None and not is_loopback(listener.address):
        yield _exposed(source.at(which, "address"), f"{which} listener", listener.address)


def _exposed(at: Position | None, what: str, address: str) -> Finding:
    return finding("open-to-others", at, f"the {what} is on {address}, where others than this host reach it")


def _of(name: str, placement: Placement, source: Source) -> Iterator[_Socket]:
    listeners = (
        ("inbound listener", placement.inbound),
        ("outbound listener" if placement.inbound else "public listener", placement.outbound),
        ("admin listener", (placement.admin,)),
        ("application", (placement.application,) if placement.application else ()),
        ("health listener", placement.health),
    )
    for what, sockets in listeners:
        yield from (_Socket(name, what, each, source) for each in sockets)


def _local(
    name: str, placement: Placement, ports: dict[str, int], source: Source, passed: Collection[str]
) -> Iterator[_Socket]:
    for callee, port in ports.items():
        where = ("calls", callee, "localPort")
        for each in placement.outbound:
            socket = ir.SocketAddress(each.address, port)
            yield _Socket(name, f"local port for `{callee}`", socket, source, where, callee in passed)


def _check(name: str, sockets: list[_Socket], placement: Placement, taken: _Taken) -> Iterator[Finding]:
    own: list[_Socket] = []
    hosts = sorted({ONE_MACHINE if is_loopback(host) else host for host in placement.hosts})
    meetings: dict[_Meeting, list[tuple[_Socket, _Socket]]] = {}
    for each in sockets:
        for other in own:
            if _meet(each.socket, other.socket) and not (each.shares and other.shares):
                yield finding(
                    "port-conflict",
                    each.at,
                    f"{each.told} has port {each.socket.port}, and so has its {other.what}",
                )
        own.append(each)
        for host in hosts:
            others = taken.sockets.setdefault((host, each.socket.port), [])
            met = next((it for it in others if it.owner != name and _meet(it.socket, each.socket)), None)
            if met is not None:
                meetings.setdefault((host, met.owner, each.at), []).append((each, met))
            others.append(each)
    yield from (_two_on_one_host(host, pairs) for (host, *_), pairs in meetings.items())


def _two_on_one_host(host: str, pairs: list[tuple[_Socket, _Socket]]) -> Finding:
    """Two owners on one host are one fault, however many of their listeners meet."""
    here, other = pairs[0]
    ports = f"{here.told} and {other.told} are both on port {here.socket.port} of {host}"
    if len(pairs) > 1:
        met = ", ".join(f"{one.socket.port} ({_either(one.what, its.what)})" for one, its in pairs)
        ports = f"`{here.owner}` and `{other.owner}` are both on {host}, with the same ports: {met}"
    apart = all(its.socket.address in (EVERYWHERE, EVERYWHERE_6, LOOPBACK) for _, its in pairs)
    return finding(
        "port-conflict",
        here.at,
        ports,
        fix=_APART if apart else "",
        related=(Related(other.at, "the other one"),) if other.at else (),
    )


def _either(one: str, other: str) -> str:
    return one if one == other else f"{one} and {other}"


def _meet(one: ir.SocketAddress, other: ir.SocketAddress) -> bool:
    if one.port != other.port or (":" in one.address) != (":" in other.address):
        return False
    addresses = {one.address, other.address}
    return len(addresses) == 1 or not addresses.isdisjoint((EVERYWHERE, EVERYWHERE_6))
