"""When a failed try is made again."""

from __future__ import annotations

from datetime import timedelta

from meshctl.ir import RetryCondition, RetryPolicy, Route
from meshctl.ir.mesh import HOP_STATUS
from meshctl.ir.retries import GATEWAY_ERROR_STATUSES
from meshctl.targets.envoy.protobuf import Message, duration, typed

BACKOFF_BASE = timedelta(milliseconds=25)
BACKOFF_MAX = timedelta(milliseconds=250)

HOST_SELECTION_ATTEMPTS = 32
"""Draws for an endpoint that has not been tried yet; then the last one drawn is taken, tried or not."""

BODY_BUFFER_BYTES = 1 << 20
"""A request body over this size goes through, but is not kept, and so its request is tried only once."""


def retry_policy(retries: RetryPolicy, *, idempotent: bool) -> Message | None:
    """``envoy.config.route.v3.RetryPolicy`` for methods that are all idempotent, or all not.

    Answers are retried by status code: Envoy's own ``gateway-error`` takes a reset for one.
    """
    conditions: list[str] = []
    statuses: list[int] = []
    if retries.retries_on(RetryCondition.CONNECT_FAILURE):
        conditions.append("connect-failure")
        statuses.append(HOP_STATUS)
    if idempotent and retries.retries_on(RetryCondition.GATEWAY_ERROR):
        statuses.extend(GATEWAY_ERROR_STATUSES)
    if statuses:
        conditions.append("retriable-status-codes")
    if not conditions:
        return None
    return {
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
        "retry_back_off": {
            "base_interval": duration(BACKOFF_BASE),
            "max_interval": duration(BACKOFF_MAX),
        },
    }


def by_method(route: Route) -> tuple[tuple[tuple[str, ...], Message | None], ...]:
    """The route's methods (none: any) with the retry policy of each group, in matching order.

    Envoy's retry policies know no methods, so a policy that does takes two routes.
    """
    retries, methods = route.retries, route.match.methods
    plain = retry_policy(retries, idempotent=False)
    if not retries.retries_on(RetryCondition.GATEWAY_ERROR):
        return ((methods, plain),)
    safe = tuple(m for m in retries.idempotent_methods if not methods or m in methods)
    rest = tuple(m for m in methods if m not in safe)
    groups: list[tuple[tuple[str, ...], Message | None]] = []
    if safe:
        groups.append((safe, retry_policy(retries, idempotent=True)))
    if rest or not methods:
        groups.append((rest, plain))
    return tuple(groups)
