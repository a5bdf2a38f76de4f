"""HTTP/2: on the hop to callees that speak it, and to an application that does."""

from __future__ import annotations

from meshctl import ir


def multiplexes(sidecar: ir.Sidecar) -> bool:
    """Whether the sidecar is a client of HTTP/2 anywhere."""
    speaks = any(cluster.protocol.multiplexed for cluster in sidecar.clusters)
    return speaks or bool(sidecar.inbound and sidecar.inbound.protocol.multiplexed)
