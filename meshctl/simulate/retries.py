"""Which failures of a request may be tried again."""

from __future__ import annotations

from meshctl.ir import RetryCondition, RetryPolicy


def conditions(policy: RetryPolicy, method: str) -> tuple[RetryCondition, ...]:
    """The conditions that count for ``method``: an answer from the application only for idempotent ones.

    REFUSED_STREAM is HTTP/2's and hops speak HTTP/1.1: it cannot happen, but does no harm.
    """
    if policy.attempts == 0:
        return ()
    safe = method in policy.idempotent_methods
    return tuple(each for each in policy.conditions if safe or each is not RetryCondition.GATEWAY_ERROR)


def attempts(policy: RetryPolicy, method: str) -> int:
    """Tries after the first, at most."""
    return policy.attempts if conditions(policy, method) else 0
