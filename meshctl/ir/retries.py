"""When a failed try is made again."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from fractions import Fraction
from typing import Annotated

from msgspec import field

from meshctl.diagnostics import Position
from meshctl.ir.features import Feature, FeatureUse, Needs, needs
from meshctl.ir.written import Written


class RetryCondition(StrEnum):
    """Why a try may be made again.

    CONNECT_FAILURE: the application never saw the request: its sidecar could not be reached, or that
    sidecar could not reach it (the hop status, see mesh.HOP_STATUS). Any method may be retried.
    REFUSED_STREAM: HTTP/2 said so before the application saw the request; cannot happen on HTTP/1.1.
    All others only for ``idempotent_methods``, unless the policy says ``non_idempotent``:
    RESET: the connection was reset or closed after the request went out and before the answer's head.
    GATEWAY_ERROR: the answer was 502, 503 or 504. SERVER_ERROR: it was 500 to 599, or RESET.
    PER_TRY_TIMEOUT: the try took longer than the per-try timeout.
    """

    CONNECT_FAILURE = "connect-failure"
    REFUSED_STREAM = "refused-stream"
    RESET = "reset"
    GATEWAY_ERROR = "gateway-error"
    SERVER_ERROR = "5xx"
    PER_TRY_TIMEOUT = "per-try-timeout"


GATEWAY_ERROR_STATUSES = (502, 503, 504)

BEFORE_THE_APPLICATION = (RetryCondition.CONNECT_FAILURE, RetryCondition.REFUSED_STREAM)
"""Failures that never reached the application, so that any method may be tried again."""

_FEATURES = {
    RetryCondition.CONNECT_FAILURE: Feature.RETRY_CONNECT_FAILURE,
    RetryCondition.REFUSED_STREAM: Feature.RETRY_REFUSED_STREAM,
    RetryCondition.RESET: Feature.RETRY_RESET,
    RetryCondition.GATEWAY_ERROR: Feature.RETRY_GATEWAY_ERROR,
    RetryCondition.SERVER_ERROR: Feature.RETRY_SERVER_ERROR,
    RetryCondition.PER_TRY_TIMEOUT: Feature.RETRY_PER_TRY_TIMEOUT,
}


def _needed_by_conditions(conditions: tuple[RetryCondition, ...]) -> tuple[Feature, ...]:
    return tuple(_FEATURES[each] for each in conditions)


class Backoff(Written, frozen=True):
    """The pause before the first retry is up to ``base``, doubled for each further one, at most ``maximum``."""

    base: Annotated[timedelta, needs(Feature.RETRY_BACKOFF)]
    maximum: timedelta
    at: Position | None = None


class RetryBudget(Written, frozen=True):
    """Of this sidecar's requests under way to the callee, at most ``share`` may be retries (but always 3)."""

    share: Annotated[Fraction, needs(Feature.RETRY_BUDGET)]
    at: Position | None = None


class PerTryTimeout(Written, frozen=True):
    """How long one try may take, from the last byte of the request to the last of the answer. Zero: no limit."""

    duration: Annotated[timedelta, needs(Feature.PER_TRY_TIMEOUT)] = timedelta(0)
    at: Position | None = None


class RetryPolicy(Written, frozen=True):
    """``attempts`` counts the tries after the first; 0 means never (the per-try timeout holds all the same).

    Another endpoint is preferred. When the tries run out the last answer is handed on, the hop status
    as 503, a per-try timeout as 504.
    """

    attempts: int
    conditions: Annotated[tuple[RetryCondition, ...], Needs(_needed_by_conditions)]
    idempotent_methods: tuple[str, ...]
    statuses: Annotated[tuple[int, ...], needs(Feature.RETRY_STATUS)] = ()
    """Sorted. Answers with one of these are tried again too."""
    grpc_statuses: Annotated[tuple[str, ...], needs(Feature.RETRY_GRPC_STATUS)] = ()
    """Names such as ``unavailable``, sorted; only for callees that speak gRPC."""
    non_idempotent: Annotated[bool, needs(Feature.RETRY_NON_IDEMPOTENT)] = False
    per_try_timeout: PerTryTimeout = field(default_factory=PerTryTimeout)
    backoff: Backoff | None = None
    """None: nobody asked for a pause; a target uses its own."""
    budget: RetryBudget | None = None
    asks: tuple[FeatureUse, ...] = ()
    at: Position | None = None

    def retries_on(self, condition: RetryCondition) -> bool:
        """Whether a failure of this kind is tried again (for some method)."""
        return self.attempts > 0 and condition in self.conditions
