"""Circuit breakers: the bounds of the language where the spec is silent."""

from __future__ import annotations

from meshctl import ir

DEFAULT_MAX_CONNECTIONS = 1024
DEFAULT_MAX_REQUESTS = 1024


def circuit_breaker() -> ir.CircuitBreaker:
    """The bounds of a cluster."""
    return ir.CircuitBreaker(DEFAULT_MAX_CONNECTIONS, DEFAULT_MAX_REQUESTS)
