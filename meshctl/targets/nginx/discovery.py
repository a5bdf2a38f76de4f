"""Endpoints of a cluster."""

from __future__ import annotations

from meshctl import ir
from meshctl.targets.nginx import circuit_breaking, egress, load_balancing, quoting
from meshctl.targets.nginx.model_destinations import Endpoint, Upstream


def upstream(cluster: ir.Cluster, *, balances: bool) -> Upstream:
    """The cluster's block, with a pool that no other callee uses. Without ``balances`` only the hop needs it."""
    return Upstream(
        name=quoting.name(cluster.name),
        key=quoting.lua_string(cluster.name),
        pick=quoting.word("round_robin"),
        endpoints=tuple(
            Endpoint(
                address=quoting.lua_host(each.socket),
                port=each.socket.port,
                weight=each.weight,
                name=quoting.lua_string(str(each.socket)),
                priority=each.priority,
            )
            for each in cluster.endpoints
        ),
        dns=egress.dns_name(cluster),
        pool=pool(cluster),
        idle_timeout=quoting.duration(cluster.idle_timeout),
        balances=balances,
        observed=load_balancing.observed(cluster),
    )


def pool(cluster: ir.Cluster) -> int:
    """Connections kept for the next request; none where it may be for another host."""
    return 0 if egress.follows_the_request(cluster) else circuit_breaking.pool(cluster.circuit_breaker)
