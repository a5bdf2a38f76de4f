"""When a failed try is made again, and what stands behind ``retry-on``.

What HAProxy cannot say there, a section for each endpoint says for it: that counts the tries, pauses, and
gives an answer that may be tried again a status that ``retry-on`` knows. See ``Counted``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import assert_never

from meshctl import ir
from meshctl.ir.mesh import HOP_STATUS
from meshctl.ir.retries import BEFORE_THE_APPLICATION, GATEWAY_ERROR_STATUSES
from meshctl.targets.haproxy import failover, outlier_detection, quoting
from meshctl.targets.haproxy.quoting import Token
from meshctl.targets.haproxy.sections import Bound, Budget, Outcome, Pause

SERVER_ERRORS = (500, 501, 502, 503, 504)
"""As far as HAProxy knows them behind ``retry-on``."""

TIMED_OUT = "response-timeout"

SCRIPT = "pauses.lua"

_KNOWN = (401, 403, 404, 408, *SERVER_ERRORS)
_ANSWERED, _SILENT = Token("answered"), Token("!answered")


def needs_counting(policy: ir.RetryPolicy, cluster: ir.Cluster) -> bool:
    """Whether the policy asks for more than ``retry-on`` can say."""
    odd = any(status not in _KNOWN for status in policy.statuses)
    bounded = cluster.circuit_breaker.max_retries is not None
    return bool(policy.attempts and (policy.backoff or policy.budget or odd or bounded))


def needs_sections(policy: ir.RetryPolicy, cluster: ir.Cluster) -> bool:
    """Whether tries go through a section for each endpoint.

    That sees every answer, also those that are tried again. And with one endpoint in a level HAProxy would pause
    for a second before it connects again; to a section of its own it always connects.
    """
    if needs_counting(policy, cluster) or outlier_detection.observes(cluster) or failover.is_deep(cluster):
        return True
    return bool(policy.attempts and failover.levels(cluster) > 1)


def needs_method_split(policy: ir.RetryPolicy, cluster: ir.Cluster) -> bool:
    """Whether some methods are retried for more reasons than others, and need a backend of their own."""
    if policy.non_idempotent or needs_sections(policy, cluster):
        return False
    late = any(policy.retries_on(each) for each in ir.RetryCondition if each not in BEFORE_THE_APPLICATION)
    return late or bool(policy.attempts and policy.statuses)


def needs_an_answer(policy: ir.RetryPolicy) -> bool:
    """Whether the last of several resets must not end in HAProxy's silence."""
    return policy.retries_on(ir.RetryCondition.RESET) or policy.retries_on(ir.RetryCondition.SERVER_ERROR)


def causes(policy: ir.RetryPolicy, cluster: ir.Cluster, *, idempotent: bool) -> tuple[str, ...]:
    """HAProxy's words for the policy's conditions, for idempotent methods or for all others."""
    if policy.attempts == 0:
        return ()
    if needs_sections(policy, cluster):
        return ("conn-failure", str(HOP_STATUS))
    in_mesh = cluster.identity is not None
    late = idempotent or policy.non_idempotent
    found = [
        each for condition in policy.conditions for each in _causes(condition, in_mesh=in_mesh, late=late)
    ]
    found += [str(status) for status in policy.statuses if late]
    return tuple(dict.fromkeys(found))


def _causes(condition: ir.RetryCondition, *, in_mesh: bool, late: bool) -> tuple[str, ...]:
    match condition:
        case ir.RetryCondition.CONNECT_FAILURE:
            return ("conn-failure", str(HOP_STATUS)) if in_mesh else ("conn-failure",)
        case ir.RetryCondition.REFUSED_STREAM:
            return ()  # HTTP/1.1 has no streams that could be refused
        case ir.RetryCondition.GATEWAY_ERROR:
            words = tuple(str(status) for status in GATEWAY_ERROR_STATUSES)
        case ir.RetryCondition.RESET:
            words = ("empty-response", "junk-response")
        case ir.RetryCondition.SERVER_ERROR:
            words = (*(str(status) for status in SERVER_ERRORS), "empty-response", "junk-response")
        case ir.RetryCondition.PER_TRY_TIMEOUT:
            words = (TIMED_OUT,)
        case _:
            assert_never(condition)
    return words if late else ()


def outcomes(policy: ir.RetryPolicy, *, in_mesh: bool) -> tuple[Outcome, ...]:
    """What may be tried again, told by status and by whether the callee or HAProxy itself said it."""
    if policy.attempts == 0:
        return ()
    found = [each for condition in policy.conditions for each in _outcomes(condition, in_mesh=in_mesh)]
    for status in policy.statuses:
        if status == HOP_STATUS and in_mesh:
            found.append(Outcome(Token("{ status 470 } carried idempotent"), status))
        else:
            found.append(_outcome(status, _ANSWERED))
    return tuple(dict.fromkeys(found))


def _outcomes(condition: ir.RetryCondition, *, in_mesh: bool) -> Iterator[Outcome]:
    match condition:
        case ir.RetryCondition.CONNECT_FAILURE:
            yield Outcome(Token(f"{{ status 503 }} {_SILENT}"), 503)
            if in_mesh:
                yield Outcome(Token(f"{{ status {HOP_STATUS} }} {_ANSWERED}"), 503)
        case ir.RetryCondition.REFUSED_STREAM:
            pass
        case ir.RetryCondition.GATEWAY_ERROR:
            yield from (_outcome(status, _ANSWERED) for status in GATEWAY_ERROR_STATUSES)
        case ir.RetryCondition.RESET:
            yield _outcome(502, _SILENT)
        case ir.RetryCondition.SERVER_ERROR:
            yield from (_outcome(status, _ANSWERED) for status in SERVER_ERRORS)
            yield _outcome(502, _SILENT)
        case ir.RetryCondition.PER_TRY_TIMEOUT:
            yield _outcome(504, _SILENT)
        case _:
            assert_never(condition)


def _outcome(status: int, who: Token) -> Outcome:
    return Outcome(Token(f"{{ status {status} }} {who} idempotent"), status)


def pauses(policy: ir.RetryPolicy) -> tuple[Pause, ...]:
    """The longest pause before each try but the first, as the count of tries and milliseconds."""
    if policy.backoff is None:
        return ()
    base, most = policy.backoff.base, policy.backoff.maximum
    lengths = (min(base * 2**number, most) for number in range(policy.attempts))
    return tuple(Pause(try_, _milliseconds(length)) for try_, length in enumerate(lengths, start=2))


def bound(policy: ir.RetryPolicy, cluster: ir.Cluster) -> Bound | None:
    """How many retries to the cluster may be under way: a share of its requests, a number, or neither."""
    most = cluster.circuit_breaker.max_retries
    if policy.attempts == 0 or (policy.budget is None and most is None):
        return None
    share = policy.budget.share if policy.budget else None
    return Bound(
        quoting.string(cluster.name),
        quoting.name(cluster.name),
        Budget(share.numerator, share.denominator) if share else None,
        None if most is None else Token(str(most)),
        policy.attempts,
    )


def _milliseconds(length: timedelta) -> int:
    return max(length // timedelta(milliseconds=1), 1)
