"""Listeners that would meet on one host: two sidecars on one port would speak for each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position, Related
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

ONE_MACHINE = "this machine"
_APART = (
    "Give one service ports of its own (`inbound`, `outbound`, `admin`, `port`), or, for a mesh on one machine, "
    "write `bind: endpoint` under `mesh`."
)


@dataclass(frozen=True, slots=True)
class _Socket:
    """Something that listens. ``owner`` is the service or gateway, ``at`` where it was written."""

    owner: str
    what: str
    socket: ir.SocketAddress
    at: Position | None

    @property
    def told(self) -> str:
        return f"the {self.what} of `{self.owner}`"


@dataclass(slots=True)
class _Taken:
    """What listens already, by host and port."""

    sockets: dict[tuple[str, int], list[_Socket]] = field(default_factory=dict)


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
            yield from _check(name, [*_of(name, placement, source), *_local(name, placement, local, source)],
                              placement, taken)  # fmt: skip
    for name, gateway in (spec.written.gateways or {}).items():
        source = spec.source["gateways"][name]
        for placement in gateway_placements(spec, gateway):
            yield from _check(name, list(_of(name, placement, source)), placement, taken)


def _of(name: str, placement: Placement, source: Source) -> Iterator[_Socket]:
    at = source.here
    listeners = (
        ("inbound listener", placement.inbound),
        ("outbound listener" if placement.inbound else "public listener", placement.outbound),
        ("admin listener", (placement.admin,)),
        ("application", (placement.application,) if placement.application else ()),
        ("health listener", placement.health),
    )
    for what, sockets in listeners:
        yield from (_Socket(name, what, each, at) for each in sockets)


def _local(name: str, placement: Placement, ports: dict[str, int], source: Source) -> Iterator[_Socket]:
    for callee, port in ports.items():
        at = source.at("calls", callee, "localPort")
        for each in placement.outbound:
            yield _Socket(name, f"local port for `{callee}`", ir.SocketAddress(each.address, port), at)


def _check(name: str, sockets: list[_Socket], placement: Placement, taken: _Taken) -> Iterator[Finding]:
    own: list[_Socket] = []
    for each in sockets:
        for other in own:
            if _meet(each.socket, other.socket):
                yield finding(
                    "port-conflict",
                    each.at,
                    f"{each.told} has port {each.socket.port}, and so has its {other.what}",
                )
        own.append(each)
        for host in {ONE_MACHINE if is_loopback(host) else host for host in placement.hosts}:
            yield from _check_host(host, each, taken.sockets.setdefault((host, each.socket.port), []))


def _check_host(host: str, here: _Socket, others: list[_Socket]) -> Iterator[Finding]:
    for other in others:
        if other.owner != here.owner and _meet(other.socket, here.socket):
            apart = other.socket.address in (EVERYWHERE, EVERYWHERE_6, LOOPBACK)
            yield finding(
                "port-conflict",
                here.at,
                f"{here.told} and {other.told} are both on port {here.socket.port} of {host}",
                fix=_APART if apart else "",
                related=(Related(other.at, "the other one"),) if other.at else (),
            )
            break
    others.append(here)


def _meet(one: ir.SocketAddress, other: ir.SocketAddress) -> bool:
    if one.port != other.port or (":" in one.address) != (":" in other.address):
        return False
    addresses = {one.address, other.address}
    return len(addresses) == 1 or bool(addresses & {EVERYWHERE, EVERYWHERE_6})
