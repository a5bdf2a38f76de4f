"""When a failed try is made again.

``proxy_next_upstream`` calls the balancer (``mesh.lua``) after connections that failed and, where gateway
errors count, after such answers; the balancer decides whether there is another try. The hop status is no
condition that NGINX knows, so it comes back to the location by ``error_page``, and the tries are counted
across.
"""

from __future__ import annotations

from meshctl import ir
from meshctl.ir import RetryCondition
from meshctl.ir.retries import GATEWAY_ERROR_STATUSES
from meshctl.targets.nginx.quoting import Token, word

MOST_HOP_FAILURES = 8
"""Tries that may end with the hop status and be made again: NGINX allows ten jumps between locations, the
first leads to the route's and the last to the answer."""

_FAILURES = "error timeout"
_ANSWERS = " ".join(f"http_{status}" for status in GATEWAY_ERROR_STATUSES)


def depends_on_method(policy: ir.RetryPolicy) -> bool:
    """Whether idempotent requests are treated differently from the others."""
    return policy.retries_on(RetryCondition.GATEWAY_ERROR)


def next_upstream(*, after_gateway_error: bool) -> Token:
    """What makes NGINX ask the balancer again.

    ``non_idempotent``: which methods may be sent twice is the spec's decision, not NGINX's.
    """
    return word(f"{_FAILURES} {_ANSWERS} non_idempotent" if after_gateway_error else _FAILURES)


def attempts(policy: ir.RetryPolicy, *, after_gateway_error: bool) -> int:
    """Tries after the first."""
    if after_gateway_error or policy.retries_on(RetryCondition.CONNECT_FAILURE):
        return policy.attempts
    return 0
