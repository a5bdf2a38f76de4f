"""How much may be under way to one callee."""

from __future__ import annotations

from meshctl import ir

LARGEST_POOL = 128
"""Idle connections that a worker keeps to one cluster."""


def limit(breaker: ir.CircuitBreaker) -> int:
    """Requests under way to one cluster, over all workers (``limit_conn``).

    On HTTP/1.1 each of them has a connection to itself, so the smaller bound is the bound. ``max_conns``
    of a server would count each endpoint alone.
    """
    return min(breaker.max_connections, breaker.max_requests)


def pool(breaker: ir.CircuitBreaker) -> int:
    """Connections that a worker keeps open between requests; over it, the oldest is closed."""
    return min(breaker.max_connections, LARGEST_POOL)
