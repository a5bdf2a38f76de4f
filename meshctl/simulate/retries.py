"""Which failures of a request may be tried again."""

from __future__ import annotations

from meshctl.ir import RetryCondition, RetryPolicy
from meshctl.ir.retries import BEFORE_THE_APPLICATION, GATEWAY_ERROR_STATUSES
from meshctl.simulate.outcome import Outcome


def conditions(policy: RetryPolicy, method: str) -> tuple[RetryCondition, ...]:
    """The conditions that count for ``method``; what may have reached the application only if that is safe.

    REFUSED_STREAM is HTTP/2's: on a hop of HTTP/1.1 it cannot happen, but does no harm.
    """
    if policy.attempts == 0:
        return ()
    safe = _is_safe(policy, method)
    return tuple(each for each in policy.conditions if safe or each in BEFORE_THE_APPLICATION)


def statuses(policy: RetryPolicy, method: str) -> tuple[int, ...]:
    """The single status codes that count for ``method``."""
    return policy.statuses if policy.attempts and _is_safe(policy, method) else ()


def grpc_statuses(policy: RetryPolicy, method: str) -> tuple[str, ...]:
    """The gRPC statuses that count for ``method``, which is POST unless a client is strange."""
    return policy.grpc_statuses if policy.attempts and _is_safe(policy, method) else ()


def attempts(policy: RetryPolicy, method: str) -> int:
    """Tries after the first, at most."""
    reasons = (conditions(policy, method), statuses(policy, method), grpc_statuses(policy, method))
    return policy.attempts if any(reasons) else 0


def tries_again(outcome: Outcome, status: int) -> bool:
    """Whether an application's answer with ``status`` is tried again while tries are left."""
    return (
        status in outcome.retry_statuses
        or (RetryCondition.GATEWAY_ERROR in outcome.retry_on and status in GATEWAY_ERROR_STATUSES)
        or (RetryCondition.SERVER_ERROR in outcome.retry_on and 500 <= status <= 599)
    )


def _is_safe(policy: RetryPolicy, method: str) -> bool:
    return policy.non_idempotent or method in policy.idempotent_methods
