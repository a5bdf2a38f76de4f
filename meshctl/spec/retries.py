"""`retries`: a field of every traffic policy and of a route."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import WithJsonSchema

from meshctl.spec.types import (
    Attempts,
    Before,
    Duration,
    Flag,
    Given,
    Model,
    Percent,
    PositiveDuration,
    refuse,
    text,
)

CONDITIONS = ("connect-failure", "refused-stream", "reset", "gateway-error", "5xx", "per-try-timeout")
GRPC_STATUSES = (
    "cancelled",
    "unknown",
    "invalid-argument",
    "deadline-exceeded",
    "not-found",
    "already-exists",
    "permission-denied",
    "resource-exhausted",
    "failed-precondition",
    "aborted",
    "out-of-range",
    "unimplemented",
    "internal",
    "unavailable",
    "data-loss",
    "unauthenticated",
)


def _retry_on(value: Any) -> str:  # noqa: ANN401 - a validator sees raw nodes
    expected = f"{', '.join(CONDITIONS)}, a status code from 400 to 599, or a gRPC status such as unavailable"
    written = text(value, expected)
    if written not in (*CONDITIONS, *GRPC_STATUSES) and not re.fullmatch(r"[45][0-9]{2}", written):
        raise refuse(expected)
    return written


RetryOn = Annotated[
    str,
    Before(_retry_on),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": [*CONDITIONS, *GRPC_STATUSES]},
                {"type": "integer", "minimum": 400, "maximum": 599},
                {"type": "string", "pattern": "^[45][0-9]{2}$"},
            ]
        }
    ),
]


class BackoffSpec(Model):
    """The pause before a retry: up to `base`, doubled for each further one, at most `max`."""

    base: PositiveDuration
    max: Given[PositiveDuration] = None


class RetriesSpec(Model):
    """As written. Maps of several layers merge field by field; `retryOn` and `backoff` replace as a whole."""

    attempts: Given[Attempts] = None
    retry_on: Given[list[RetryOn]] = None
    per_try_timeout: Given[Duration] = None
    backoff: Given[BackoffSpec] = None
    budget: Given[Percent] = None
    non_idempotent: Given[Flag] = None
