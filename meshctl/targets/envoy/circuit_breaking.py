"""How much may be under way to one cluster."""

from __future__ import annotations

from fractions import Fraction

from meshctl.ir import CircuitBreaker
from meshctl.targets.envoy.protobuf import Message

UNLIMITED = 2**32 - 1

RETRIES_ALWAYS = 3
"""So many retries may be under way whatever the budget."""


def circuit_breakers(
    breaker: CircuitBreaker, budget: Fraction | None = None, *, multiplexed: bool = False
) -> Message:
    """``envoy.config.cluster.v3.CircuitBreakers``; what goes over is answered 503 at once.

    An HTTP/1.1 connection carries one request, so the lower limit counts for both, and it is put on
    requests: over ``max_connections`` Envoy would let a request wait for a connection, and it counts
    the idle ones of other endpoints too. Where requests may wait, that is what is wanted.
    ``budget`` is the share of the requests that may be retries.
    """
    requests = breaker.max_requests
    if multiplexed or breaker.max_pending is not None:
        connections = breaker.max_connections
    else:
        connections, requests = UNLIMITED, min(breaker.max_connections, requests)
    return _thresholds(
        connections=connections,
        pending=requests if breaker.max_pending is None else breaker.max_pending,
        requests=requests,
        # Envoy's default of 3 would quietly drop retries in just the minute they are for.
        retries=requests if breaker.max_retries is None else breaker.max_retries,
        budget=budget,
    )


def connection_limit(breaker: CircuitBreaker) -> Message:
    """The same for TCP, where there is nothing but connections; what goes over is closed."""
    limit = breaker.max_connections
    return _thresholds(connections=limit, pending=limit, requests=limit, retries=limit)


def no_limits() -> Message:
    """For the sidecar's own application: its callers' sidecars keep the limits."""
    return _thresholds(connections=UNLIMITED, pending=UNLIMITED, requests=UNLIMITED, retries=UNLIMITED)


def _thresholds(
    *, connections: int, pending: int, requests: int, retries: int, budget: Fraction | None = None
) -> Message:
    thresholds: Message = {
        "priority": "DEFAULT",
        "max_connections": connections,
        "max_pending_requests": pending,
        "max_requests": requests,
    }
    if budget is None:
        thresholds["max_retries"] = retries
    else:
        thresholds["retry_budget"] = {
            "budget_percent": {"value": float(budget * 100)},
            "min_retry_concurrency": min(RETRIES_ALWAYS, retries),
        }
    return {"thresholds": [thresholds]}
