"""Where the instances of a service are."""

from __future__ import annotations

from msgspec import Struct


class SocketAddress(Struct, frozen=True):
    """An IP address and a TCP port."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class Endpoint(Struct, frozen=True):
    """The sidecar of one instance. Weights are shares of the sum within a cluster and priority, at least 1.

    ``priority`` is 0 for those that come first, and has no gaps: the next level takes requests when no endpoint of
    the earlier ones is healthy, as ejections and health checks say, or sooner in part where the proxy can.
    """

    socket: SocketAddress
    weight: int
    priority: int = 0
