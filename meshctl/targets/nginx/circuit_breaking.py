"""How much may be under way to one callee."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from meshctl import ir
from meshctl.targets.nginx import quoting
from meshctl.targets.nginx.model_policies import Queue

LARGEST_POOL = 128
"""Idle connections that a worker keeps to one cluster."""


def limit(breaker: ir.CircuitBreaker) -> int:
    """Requests under way to one cluster, over all workers (``limit_conn``).

    With those that wait for a connection. To NGINX each of them has a connection to itself, so the smaller bound is the bound. ``max_conns``
    of a server would count each endpoint alone.
    """
    waiting = breaker.max_pending or 0
    return min(breaker.max_connections + waiting, breaker.max_requests)


def queues(clusters: Sequence[ir.Cluster]) -> Iterator[Queue]:
    """Where requests wait, in ``circuit_breaking.lua``; elsewhere what goes over is refused at once."""
    for each in clusters:
        breaker = each.circuit_breaker
        if breaker.max_pending:
            yield Queue(quoting.lua_string(each.name), breaker.max_connections, breaker.max_pending)


def pool(breaker: ir.CircuitBreaker) -> int:
    """Connections that a worker keeps open between requests; over it, the oldest is closed."""
    return min(breaker.max_connections, LARGEST_POOL)
