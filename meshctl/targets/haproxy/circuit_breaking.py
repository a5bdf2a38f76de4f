"""How much may be under way to one callee."""

from __future__ import annotations

from collections.abc import Iterable

from meshctl import ir
from meshctl.targets.haproxy.quoting import Token
from meshctl.targets.haproxy.sections import Limit


def limit(cluster: ir.Cluster, backends: Iterable[Token]) -> Limit:
    """The bound of one cluster, counted over all its backends.

    On HTTP/1.1 each request under way has a connection to itself, so the smaller bound is the bound.
    """
    breaker = cluster.circuit_breaker
    return Limit(tuple(backends), min(breaker.max_connections, breaker.max_requests))
