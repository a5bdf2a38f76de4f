"""What may pass around a sidecar: nothing but what its service needs."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network

from msgspec import Struct

from meshctl.ir.discovery import SocketAddress

ANYWHERE = ("0.0.0.0/0", "::/0")
"""Every address of both families."""

NAME_SERVER = "name server"
"""What such a destination is called."""


class Transport(StrEnum):
    """What a port is a port of."""

    TCP = "tcp"
    UDP = "udp"


class Workload(Struct, frozen=True):
    """A service or gateway as a cluster knows it. An empty ``namespace`` is that of whoever names it.

    ``networks`` are the hosts that the spec writes down for it. With ``pods`` the cluster's own DNS says where it is.
    """

    service: str
    namespace: str
    networks: tuple[str, ...]
    pods: bool = False


class Destination(Struct, frozen=True):
    """Where packets may go: ``networks`` (CIDR, disjoint, sorted) and one ``port``, 0 for every one.

    ``name`` says whom that is, in words. A service of the mesh is a ``workload`` too; ``looked_up`` are those whose
    addresses are known only when they are asked for.
    """

    name: str
    networks: tuple[str, ...]
    port: int
    transport: Transport = Transport.TCP
    workload: Workload | None = None
    looked_up: bool = False


class Interception(Struct, frozen=True):
    """TCP connections of the application to ``networks`` and ``ports`` that its sidecar takes at ``to``.

    The first interception that a connection meets holds. Connections to loopback are nobody's.
    """

    name: str
    networks: tuple[str, ...]
    ports: tuple[int, ...]
    to: tuple[SocketAddress, ...]


class Perimeter(Struct, frozen=True):
    """One sidecar, its application, and everything that may pass between them and the world.

    The application reaches ``entrances``, and ``besides`` what was asked for. The sidecar reaches its application
    and ``destinations``. From other hosts come ``callers`` to ``inbound`` (None: whoever reaches it), and everybody to
    ``facing``. ``closed`` are ports that no other host may reach, whoever listens there.
    """

    mesh: str
    service: str
    instance: str
    namespace: str
    """Where a cluster has it; empty where nobody says so."""
    hosts: tuple[str, ...]
    """Addresses of the machines that it is on, as far as the spec says."""
    application: SocketAddress | None
    entrances: tuple[SocketAddress, ...]
    admin: SocketAddress
    inbound: tuple[SocketAddress, ...]
    facing: tuple[SocketAddress, ...]
    callers: tuple[Workload, ...] | None
    destinations: tuple[Destination, ...]
    besides: tuple[Destination, ...]
    interceptions: tuple[Interception, ...]
    closed: tuple[int, ...]
    notes: tuple[str, ...]
    """What stays open, and why, each as one sentence to the user."""
    interception_notes: tuple[str, ...]
    """What the interceptions leave out."""

    @property
    def name(self) -> str:
        """Service and instance, as the bundle's folder is called."""
        return f"{self.service}/{self.instance}" if self.instance else self.service


def networks(addresses: Iterable[str]) -> tuple[str, ...]:
    """Addresses and networks as CIDR, none inside another, IPv4 first; hosts side by side stay hosts."""
    found: list[IPv4Network | IPv6Network] = []
    for each in sorted({ip_network(it) for it in addresses}, key=lambda it: (it.version, it)):
        # What holds others comes before them, and beside them are only others that it holds.
        if not found or not _holds(found[-1], each):
            found.append(each)
    return tuple(map(str, found))


def _holds(outer: IPv4Network | IPv6Network, inner: IPv4Network | IPv6Network) -> bool:
    return outer.version == inner.version and inner.network_address in outer
