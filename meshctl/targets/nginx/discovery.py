"""Endpoints of a cluster."""

from __future__ import annotations

from meshctl import ir
from meshctl.targets.nginx import circuit_breaking, load_balancing, quoting
from meshctl.targets.nginx.model import Endpoint, Upstream


def upstream(cluster: ir.Cluster) -> Upstream:
    """The cluster's block, with a pool that no other callee uses."""
    return Upstream(
        name=quoting.name(cluster.name),
        key=quoting.lua_string(cluster.name),
        pick=load_balancing.algorithm(cluster.load_balancing),
        endpoints=tuple(
            Endpoint(
                address=quoting.lua_string(each.socket.address),
                port=each.socket.port,
                weight=each.weight,
                name=quoting.lua_string(str(each.socket)),
            )
            for each in cluster.endpoints
        ),
        pool=circuit_breaking.pool(cluster.circuit_breaker),
        idle_timeout=quoting.duration(cluster.idle_timeout),
    )
