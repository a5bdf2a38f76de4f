"""When a failed try is made again: what stands behind ``retry-on``."""

from __future__ import annotations

from typing import assert_never

from meshctl import ir
from meshctl.ir.mesh import HOP_STATUS
from meshctl.ir.retries import GATEWAY_ERROR_STATUSES


def needs_method_split(policy: ir.RetryPolicy) -> bool:
    """Whether some methods are retried for more reasons than others, and need a backend of their own."""
    return policy.retries_on(ir.RetryCondition.GATEWAY_ERROR)


def causes(policy: ir.RetryPolicy, *, idempotent: bool) -> tuple[str, ...]:
    """HAProxy's words for the policy's conditions, for idempotent methods or for all others."""
    if policy.attempts == 0:
        return ()
    return tuple(
        cause for condition in policy.conditions for cause in _causes(condition, idempotent=idempotent)
    )


def _causes(condition: ir.RetryCondition, *, idempotent: bool) -> tuple[str, ...]:
    match condition:
        case ir.RetryCondition.CONNECT_FAILURE:
            return ("conn-failure", str(HOP_STATUS))
        case ir.RetryCondition.REFUSED_STREAM:
            return ()  # HTTP/1.1 has no streams that could be refused
        case ir.RetryCondition.GATEWAY_ERROR:
            return tuple(str(status) for status in GATEWAY_ERROR_STATUSES) if idempotent else ()
        case ir.RetryCondition.RESET | ir.RetryCondition.SERVER_ERROR | ir.RetryCondition.PER_TRY_TIMEOUT:
            raise NotImplementedError
        case _:
            assert_never(condition)
