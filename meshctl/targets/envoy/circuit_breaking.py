"""How much may be under way to one cluster."""

from __future__ import annotations

from meshctl.ir import CircuitBreaker
from meshctl.targets.envoy.protobuf import Message

UNLIMITED = 2**32 - 1


def circuit_breakers(breaker: CircuitBreaker) -> Message:
    """``envoy.config.cluster.v3.CircuitBreakers``; what goes over is answered 503 at once.

    An HTTP/1.1 connection carries one request, so the lower limit counts for both, and it is put on
    requests: over ``max_connections`` Envoy would let a request wait for a connection, and it counts
    the idle ones of other endpoints too.
    """
    under_way = min(breaker.max_connections, breaker.max_requests)
    return _thresholds(connections=UNLIMITED, requests=under_way)


def no_limits() -> Message:
    """For the sidecar's own application: its callers' sidecars keep the limits."""
    return _thresholds(connections=UNLIMITED, requests=UNLIMITED)


def _thresholds(*, connections: int, requests: int) -> Message:
    return {
        "thresholds": [
            {
                "priority": "DEFAULT",
                "max_connections": connections,
                "max_pending_requests": requests,
                "max_requests": requests,
                # Envoy's default of 3 would quietly drop retries in just the minute they are for.
                "max_retries": requests,
            }
        ]
    }
