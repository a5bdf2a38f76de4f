"""Retries: maps of all layers merge field by field; nothing is retried unless spec or default say so."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import Any

from meshctl import ir
from meshctl.diagnostics import Position
from meshctl.resolve.layers import Layers, said, says
from meshctl.resolve.timeouts import NO_LIMIT, streaming
from meshctl.spec.retries import CONDITIONS, GRPC_STATUSES, BackoffSpec

DEFAULT_ATTEMPTS = 1
DEFAULT_CONDITIONS = (ir.RetryCondition.CONNECT_FAILURE, ir.RetryCondition.REFUSED_STREAM)
DEFAULT_BACKOFF_FACTOR = 10
"""Where `backoff` has no `max`, the pause grows to so many times its `base`."""
IDEMPOTENT_METHODS = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE")
"""RFC 9110, section 9.2.2."""

NEVER = ir.RetryPolicy(0, (), IDEMPOTENT_METHODS)
"""What holds where nothing is asked of any callee."""

_FIELDS = frozenset(("retries", "idempotent", "streaming"))
"""What a layer may say that counts here."""

_KEYS = {
    "attempts": "attempts",
    "retry_on": "retryOn",
    "per_try_timeout": "perTryTimeout",
    "backoff": "backoff",
    "budget": "budget",
    "non_idempotent": "nonIdempotent",
}


def retry_policy(layers: Layers) -> ir.RetryPolicy:
    """When a failed try is made again: one object for all to whom the same layers say it."""
    return _policy(tuple(each for each in layers if not _FIELDS.isdisjoint(each.says)))


@lru_cache(maxsize=4096)
def _policy(layers: Layers) -> ir.RetryPolicy:
    methods, asks = _idempotent(layers)
    if not says(layers, "retries"):
        return ir.RetryPolicy(DEFAULT_ATTEMPTS, DEFAULT_CONDITIONS, methods, asks=asks)
    attempts, _ = written(layers, "attempts", DEFAULT_ATTEMPTS)
    retry_on, _ = written(layers, "retry_on", [each.value for each in DEFAULT_CONDITIONS])
    conditions = tuple(each for each in ir.RetryCondition if each.value in retry_on) if attempts else ()
    statuses = tuple(sorted({int(each) for each in retry_on if _is_status(each)})) if attempts else ()
    grpc = tuple(sorted({each for each in retry_on if each in GRPC_STATUSES})) if attempts else ()
    non_idempotent, _ = written(layers, "non_idempotent", default=False)
    tried_again = bool(conditions or statuses or grpc)
    return ir.RetryPolicy(
        attempts=attempts if tried_again else 0,
        conditions=conditions,
        idempotent_methods=methods,
        statuses=statuses,
        grpc_statuses=grpc,
        non_idempotent=non_idempotent and tried_again,
        per_try_timeout=_per_try_timeout(layers),
        backoff=_backoff(layers) if tried_again else None,
        budget=_budget(layers) if tried_again else None,
        asks=asks,
        at=_place(layers),
    )


def written(layers: Layers, field: str, default: Any) -> tuple[Any, Position | None]:  # noqa: ANN401
    """What the most particular layer says of a field of `retries`, and where."""
    for layer in reversed(layers):
        retries = layer.says.get("retries")
        value = getattr(retries, field, None)
        if value is not None:
            return value, layer.source.at("retries", _KEYS[field])
    return default, None


def _place(layers: Layers) -> Position | None:
    """Where the conditions were written, for they are what a proxy can or cannot do; else the last `retries`."""
    places = [(each.retry_on, at) for each, at in said(layers, "retries", "retries")]
    return next((at for retry_on, at in places if retry_on), places[0][1])


def _is_status(condition: str) -> bool:
    return condition not in CONDITIONS and condition.isdigit()


def _idempotent(layers: Layers) -> tuple[tuple[str, ...], tuple[ir.FeatureUse, ...]]:
    for methods, at in said(layers, "idempotent", "idempotent"):
        asks = (ir.FeatureUse(ir.Feature.IDEMPOTENT_METHODS, at),) if at is not None else ()
        return tuple(sorted(set(methods))), asks
    return IDEMPOTENT_METHODS, ()


def _per_try_timeout(layers: Layers) -> ir.PerTryTimeout:
    if streaming(layers):
        return ir.PerTryTimeout(NO_LIMIT)
    duration, at = written(layers, "per_try_timeout", NO_LIMIT)
    return ir.PerTryTimeout(duration, at)


def _backoff(layers: Layers) -> ir.Backoff | None:
    backoff, at = written(layers, "backoff", None)
    return None if backoff is None else ir.Backoff(backoff.base, longest_pause(backoff), at)


def longest_pause(backoff: BackoffSpec) -> timedelta:
    """The longest pause before a retry."""
    return backoff.max or backoff.base * DEFAULT_BACKOFF_FACTOR


def _budget(layers: Layers) -> ir.RetryBudget | None:
    share, at = written(layers, "budget", None)
    return None if share is None else ir.RetryBudget(share, at)
