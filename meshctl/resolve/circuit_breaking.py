"""Circuit breakers: maps of all layers merge field by field; the rest are the bounds of the language."""

from __future__ import annotations

from meshctl import ir
from meshctl.resolve.layers import Layers

DEFAULT_MAX_CONNECTIONS = 1024
DEFAULT_MAX_REQUESTS = 1024

_FIELDS = (
    ("max_connections", "maxConnections", ir.Feature.MAX_CONNECTIONS),
    ("max_requests", "maxRequests", ir.Feature.MAX_REQUESTS),
    ("max_pending_requests", "maxPendingRequests", ir.Feature.MAX_PENDING),
    ("max_retries", "maxRetries", ir.Feature.MAX_RETRIES),
)


def circuit_breaker(layers: Layers) -> ir.CircuitBreaker:
    """The bounds of a cluster."""
    written: dict[str, int] = {}
    asks = []
    for field, key, feature in _FIELDS:
        for layer in reversed(layers):
            value = getattr(getattr(layer.written, "circuit_breaker", None), field, None)
            if value is not None:
                written[field] = value
                at = layer.source.at("circuitBreaker", key)
                if at is not None:
                    asks.append(ir.FeatureUse(feature, at))
                break
    return ir.CircuitBreaker(
        written.get("max_connections", DEFAULT_MAX_CONNECTIONS),
        written.get("max_requests", DEFAULT_MAX_REQUESTS),
        written.get("max_pending_requests"),
        written.get("max_retries"),
        asks=tuple(asks),
    )
