"""How much may be under way to one cluster."""

from __future__ import annotations

from fractions import Fraction

from meshctl.ir import CircuitBreaker
from meshctl.targets.envoy.protobuf import Message

UNLIMITED = 2**32 - 1

RETRIES_ALWAYS = 3
"""So many retries may be under way whatever the budget."""


def circuit_breakers(breaker: CircuitBreaker, budget: Fraction | None = None) -> Message:
    """``envoy.config.cluster.v3.CircuitBreakers``; what goes over is answered 503 at once.

    An HTTP/1.1 connection carries one request, so the lower limit counts for both, and it is put on
    requests: over ``max_connections`` Envoy would let a request wait for a connection, and it counts
    the idle ones of other endpoints too. ``budget`` is the share of the requests that may be retries.
    """
    under_way = min(breaker.max_connections, breaker.max_requests)
    return _thresholds(connections=UNLIMITED, requests=under_way, budget=budget)


def connection_limit(breaker: CircuitBreaker) -> Message:
    """The same for TCP, where there is nothing but connections; what goes over is closed."""
    return _thresholds(connections=breaker.max_connections, requests=breaker.max_connections)


def no_limits() -> Message:
    """For the sidecar's own application: its callers' sidecars keep the limits."""
    return _thresholds(connections=UNLIMITED, requests=UNLIMITED)


def _thresholds(*, connections: int, requests: int, budget: Fraction | None = None) -> Message:
    thresholds: Message = {
        "priority": "DEFAULT",
        "max_connections": connections,
        "max_pending_requests": requests,
        "max_requests": requests,
    }
    if budget is None:
        # Envoy's default of 3 would quietly drop retries in just the minute they are for.
        thresholds["max_retries"] = requests
    else:
        thresholds["retry_budget"] = {
            "budget_percent": {"value": float(budget * 100)},
            "min_retry_concurrency": RETRIES_ALWAYS,
        }
    return {"thresholds": [thresholds]}
