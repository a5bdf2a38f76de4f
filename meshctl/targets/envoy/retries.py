"""When a failed try is made again."""

from __future__ import annotations

from datetime import timedelta

from meshctl.ir import Backoff, RetryCondition, RetryPolicy, Route
from meshctl.ir.mesh import HOP_STATUS, STATUS_HEADER
from meshctl.ir.retries import BEFORE_THE_APPLICATION, GATEWAY_ERROR_STATUSES
from meshctl.targets.envoy import grpc
from meshctl.targets.envoy.protobuf import Message, duration, typed

_OWN_BACKOFF = Backoff(timedelta(milliseconds=25), timedelta(milliseconds=250))

HOST_SELECTION_ATTEMPTS = 32
"""Draws for an endpoint that has not been tried yet; then the last one drawn is taken, tried or not."""

BODY_BUFFER_BYTES = 1 << 20
"""A request body over this size goes through, but is not kept, and so its request is tried only once."""

_CARRIED = {"name": STATUS_HEADER, "string_match": {"exact": str(HOP_STATUS)}}
"""Marks the status 425 of an application, see hop_status."""


def retry_policy(retries: RetryPolicy, *, idempotent: bool, multiplexed: bool = False) -> Message | None:
    """``envoy.config.route.v3.RetryPolicy`` for methods that are all idempotent, or all not.

    Answers are retried by status code: Envoy's own ``gateway-error`` takes a reset for one.
    """
    conditions, statuses = _conditions(retries, idempotent=idempotent)
    headers = _headers(retries) if idempotent and retries.attempts else []
    if multiplexed and retries.retries_on(RetryCondition.REFUSED_STREAM):
        conditions.append("refused-stream")
    if headers:
        conditions.append("retriable-headers")
    message: Message = {}
    if conditions:
        message = {
            "retry_on": ",".join(conditions),
            "retriable_status_codes": statuses,
            "num_retries": retries.attempts,
            "retry_host_predicate": [
                {
                    "name": "envoy.retry_host_predicates.previous_hosts",
                    "typed_config": typed("retry.host.previous_hosts.v3.PreviousHostsPredicate"),
                }
            ],
            "host_selection_retry_max_attempts": HOST_SELECTION_ATTEMPTS,
            "retry_back_off": _backoff(retries.backoff or _OWN_BACKOFF),
        }
    if headers:
        message["retriable_headers"] = headers
    if retries.attempts and retries.per_try_timeout.duration:
        message.setdefault("num_retries", 0)
        message["per_try_timeout"] = duration(retries.per_try_timeout.duration)
    return message or None


def _conditions(retries: RetryPolicy, *, idempotent: bool) -> tuple[list[str], list[int]]:
    """Envoy's words and the status codes. To Envoy a try that takes too long is a reset like any other."""
    conditions: dict[str, None] = {}
    statuses: list[int] = []
    if retries.retries_on(RetryCondition.CONNECT_FAILURE):
        conditions["connect-failure"] = None
        statuses.append(HOP_STATUS)
    if idempotent and retries.attempts:
        if retries.retries_on(RetryCondition.SERVER_ERROR):
            conditions["5xx"] = None
        elif retries.retries_on(RetryCondition.RESET) or retries.retries_on(RetryCondition.PER_TRY_TIMEOUT):
            conditions["reset"] = None
        wanted = {*retries.statuses} - {HOP_STATUS}
        if retries.retries_on(RetryCondition.GATEWAY_ERROR):
            wanted |= {*GATEWAY_ERROR_STATUSES}
        statuses.extend(sorted(wanted))
    if statuses:
        conditions["retriable-status-codes"] = None
    return list(conditions), statuses


def _headers(retries: RetryPolicy) -> list[Message]:
    return [
        *([_CARRIED] if HOP_STATUS in retries.statuses else []),
        *grpc.status_headers(retries.grpc_statuses),
    ]


def _backoff(backoff: Backoff) -> Message:
    return {"base_interval": duration(backoff.base), "max_interval": duration(backoff.maximum)}


def by_method(
    route: Route, *, multiplexed: bool = False
) -> tuple[tuple[tuple[str, ...], Message | None], ...]:
    """The route's methods (none: any) with the retry policy of each group, in matching order.

    Envoy's retry policies know no methods, so a policy that does takes two routes.
    """
    retries, methods = route.retries, route.match.methods
    plain = retry_policy(retries, idempotent=retries.non_idempotent, multiplexed=multiplexed)
    if retries.non_idempotent or not _depends_on_the_method(retries):
        return ((methods, plain),)
    safe = tuple(m for m in retries.idempotent_methods if not methods or m in methods)
    rest = tuple(m for m in methods if m not in safe)
    groups: list[tuple[tuple[str, ...], Message | None]] = []
    if safe:
        groups.append((safe, retry_policy(retries, idempotent=True, multiplexed=multiplexed)))
    if rest or not methods:
        groups.append((rest, plain))
    return tuple(groups)


def _depends_on_the_method(retries: RetryPolicy) -> bool:
    """Whether anything is tried again that may have reached the application."""
    conditions = {*retries.conditions} - {*BEFORE_THE_APPLICATION}
    return retries.attempts > 0 and bool(conditions or retries.statuses or retries.grpc_statuses)
