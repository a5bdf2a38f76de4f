"""Where the instances of a service are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SocketAddress:
    """An IP address and a TCP port."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The sidecar of one instance. Weights are shares of the sum within a cluster, at least 1."""

    socket: SocketAddress
    weight: int
