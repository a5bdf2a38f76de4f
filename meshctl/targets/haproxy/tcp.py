"""Streams: local ports that lead to a callee, and what the backend behind one is."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl import ir
from meshctl.targets.haproxy import (
    access_logs,
    backends,
    circuit_breaking,
    discovery,
    load_balancing,
    quoting,
)
from meshctl.targets.haproxy.model import TcpListener


def listeners(sidecar: ir.Sidecar) -> Iterator[TcpListener]:
    """One for each local port of a TCP callee. Nothing is tried again."""
    clusters = {cluster.name: cluster for cluster in sidecar.clusters}
    for listener in sidecar.tcp:
        cluster = clusters[listener.cluster]
        name = quoting.name(f"{listener.service}:tcp")
        yield TcpListener(
            name=name,
            binds=quoting.binds(listener.binds),
            access_log=access_logs.stream_log(sidecar, access_logs.Direction.OUTBOUND),
            limit=circuit_breaking.limit(cluster, (name,)),
            connect_timeout=quoting.duration(cluster.connect_timeout),
            idle_timeout=quoting.duration(cluster.idle_timeout),
            algorithm=load_balancing.algorithm(cluster.load_balancing),
            transport=backends.transport(cluster, sidecar),
            servers=discovery.servers(cluster, attempts=0),
        )
