"""Which failures of a request may be tried again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from meshctl.ir import Backoff, RetryCondition, RetryPolicy, duration_text
from meshctl.ir.retries import BEFORE_THE_APPLICATION, GATEWAY_ERROR_STATUSES
from meshctl.simulate.outcome import Outcome
from meshctl.simulate.steps import Step, Topic, percent


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


def longest_pauses(backoff: Backoff, attempts: int) -> list[timedelta]:
    """The longest pause before each retry: ``base``, doubled each time, up to ``maximum``."""
    pauses: list[timedelta] = []
    for _ in range(attempts):
        pauses.append(min(pauses[-1] * 2 if pauses else backoff.base, backoff.maximum))
    return pauses


def told(policy: RetryPolicy, method: str, scope: tuple[str, ...]) -> Iterator[Step]:
    """How many tries ``method`` gets, on what, and after which pauses; ``scope`` is what the settings are of."""
    attempted = (*scope, "retries", "attempts") if scope else ()
    again = attempts(policy, method)
    if policy.attempts == 0:
        yield Step(Topic.TRIES, "one, and no retry", policy.at, setting=attempted)
        return
    if again == 0:
        text = f"one: {_conditions(policy, method)}"
        yield Step(Topic.TRIES, text, policy.at)
        return
    yield Step(Topic.TRIES, f"{again + 1} at most", policy.at, setting=attempted)
    yield Step(Topic.TRIES, _conditions(policy, method), policy.at)
    if (budget := policy.budget) is not None:
        yield Step(
            Topic.TRIES, f"retries are at most {percent(budget.share)} of what is under way", budget.at
        )
    if (backoff := policy.backoff) is not None:
        base, most = duration_text(backoff.base), duration_text(backoff.maximum)
        text = f"a pause of up to {base} before a retry, doubled each time, at most {most}"
        yield Step(Topic.TRIES, text, backoff.at)


def _conditions(policy: RetryPolicy, method: str) -> str:
    """The reasons for a retry, and those that do not count for ``method``."""
    every = (*policy.conditions, *policy.statuses, *policy.grpc_statuses)
    counting = (*conditions(policy, method), *statuses(policy, method), *grpc_statuses(policy, method))
    idle = [str(each) for each in every if each not in counting]
    parts = [f"again on {', '.join(map(str, counting))}"] if counting else []
    if idle:
        parts.append(f"not again on {', '.join(idle)}, for `{method}` is not idempotent")
    return "; ".join(parts)
