"""When a failed try is made again."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from meshctl.diagnostics import Position
from meshctl.ir.features import Feature, Needs


class RetryCondition(StrEnum):
    """Why a try may be made again.

    CONNECT_FAILURE: the application never saw the request: its sidecar could not be reached, or that
    sidecar could not reach it (the hop status, see mesh.HOP_STATUS). Any method may be retried.
    REFUSED_STREAM: HTTP/2 said so before the application saw the request; cannot happen on HTTP/1.1.
    GATEWAY_ERROR: the answer was 502, 503 or 504. Only methods in ``idempotent_methods``.
    """

    CONNECT_FAILURE = "connect-failure"
    REFUSED_STREAM = "refused-stream"
    GATEWAY_ERROR = "gateway-error"


GATEWAY_ERROR_STATUSES = (502, 503, 504)

_FEATURES = {
    RetryCondition.CONNECT_FAILURE: Feature.RETRY_CONNECT_FAILURE,
    RetryCondition.REFUSED_STREAM: Feature.RETRY_REFUSED_STREAM,
    RetryCondition.GATEWAY_ERROR: Feature.RETRY_GATEWAY_ERROR,
}


def _needed_by_conditions(conditions: tuple[RetryCondition, ...]) -> tuple[Feature, ...]:
    return tuple(_FEATURES[each] for each in conditions)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """``attempts`` counts the tries after the first; 0 means never.

    Another endpoint is preferred. When the tries run out the last answer is handed on, the hop status
    as 503.
    """

    attempts: int
    conditions: Annotated[tuple[RetryCondition, ...], Needs(_needed_by_conditions)]
    idempotent_methods: tuple[str, ...]
    at: Position | None = field(default=None, compare=False)

    def retries_on(self, condition: RetryCondition) -> bool:
        """Whether a failure of this kind is tried again (for some method)."""
        return self.attempts > 0 and condition in self.conditions
