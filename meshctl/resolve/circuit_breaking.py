"""Circuit breakers: maps of all layers merge field by field; the rest are the bounds of the language."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position, Related
from meshctl.resolve import retries
from meshctl.resolve.layers import Layers
from meshctl.spec.circuit_breaking import CircuitBreakerSpec
from meshctl.spec.routing import RouteSpec

DEFAULT_MAX_CONNECTIONS = 1024
DEFAULT_MAX_REQUESTS = 1024

_FIELDS = (
    ("max_connections", "maxConnections", ir.Feature.MAX_CONNECTIONS),
    ("max_requests", "maxRequests", ir.Feature.MAX_REQUESTS),
    ("max_pending_requests", "maxPendingRequests", ir.Feature.MAX_PENDING),
    ("max_retries", "maxRetries", ir.Feature.MAX_RETRIES),
)


def circuit_breaker(layers: Layers, routes: Sequence[RouteSpec] | None = None) -> ir.CircuitBreaker:
    """The bounds of a cluster; ``routes`` are those of the callee. A retry budget beats a number of retries."""
    written: dict[str, int] = {}
    asks = []
    budget = _has_budget(layers, routes)
    for field, key, feature in _FIELDS:
        if field == "max_retries" and budget:
            continue
        for layer in reversed(layers):
            value = getattr(layer.says.get("circuit_breaker"), field, None)
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


def _has_budget(layers: Layers, routes: Sequence[RouteSpec] | None) -> bool:
    own = any(each.retries is not None and each.retries.budget is not None for each in routes or ())
    return own or retries.written(layers, "budget", None)[0] is not None


def check(layers: Layers, routes: Sequence[RouteSpec] | None) -> Iterator[Finding]:
    """A bound on retries where another one holds, or where there are none."""
    for layer in reversed(layers):
        written: CircuitBreakerSpec | None = layer.says.get("circuit_breaker")
        if written is None or written.max_retries is None:
            continue
        at = layer.source.at("circuitBreaker", "maxRetries")
        idle = layer.source.part("circuitBreaker", "maxRetries")
        budget, where = retries.written(layers, "budget", None)
        if _has_budget(layers, routes):
            message = "a retry budget holds here, so this number bounds nothing"
            related = (Related(where, "the budget"),) if budget is not None and where is not None else ()
            yield finding("ineffective-setting", at, message, related=related, remove=idle)
        elif not _tries_again(layers, routes):
            yield finding("ineffective-setting", at, "with `attempts: 0` nothing is tried again", remove=idle)
        return


def used(layers: Layers, routes: Sequence[RouteSpec] | None) -> Position | None:
    """Where the bound on retries stands that holds in these layers; None where none does."""
    if _has_budget(layers, routes) or not _tries_again(layers, routes):
        return None
    bounds = ((each, each.says.get("circuit_breaker")) for each in reversed(layers))
    holder = next((each for each, bound in bounds if bound and bound.max_retries is not None), None)
    return holder.source.at("circuitBreaker", "maxRetries") if holder is not None else None


def _tries_again(layers: Layers, routes: Sequence[RouteSpec] | None) -> bool:
    attempts, _ = retries.written(layers, "attempts", retries.DEFAULT_ATTEMPTS)
    return attempts > 0 or any(each.retries is not None and each.retries.attempts for each in routes or ())
