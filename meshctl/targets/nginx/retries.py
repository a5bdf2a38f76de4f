"""When a failed try is made again.

``proxy_next_upstream`` calls the balancer (``mesh.lua``) after connections that failed and, where gateway
errors count, after such answers; the balancer decides whether there is another try. The hop status is no
condition that NGINX knows, so it comes back to the location by ``error_page``, and the tries are counted
across.

What NGINX knows no word for (other statuses, a pause, a budget, the time of one try) needs a hop inside the
sidecar: each try is a request to a server of our own (``tries.lua``), which knows the policy and says by the hop
status that there is to be another one. So do answers over HTTP/2 that are tried again: NGINX's module numbers the
streams of a request once, and a second try on a new connection goes by the number that the first had on a kept one.
"""

from __future__ import annotations

from datetime import timedelta

from meshctl import ir
from meshctl.ir import RetryCondition
from meshctl.ir.retries import GATEWAY_ERROR_STATUSES
from meshctl.targets.nginx import model_destinations as model
from meshctl.targets.nginx import quoting
from meshctl.targets.nginx.quoting import Token, word

MOST_HOP_FAILURES = 8
"""Tries that may end with the hop status and be made again: NGINX allows ten jumps between locations, the
first leads to the route's and the last to the answer."""

_FAILURES = "error timeout"
_ANSWERS = " ".join(f"http_{status}" for status in GATEWAY_ERROR_STATUSES)
_BY_NGINX = (RetryCondition.CONNECT_FAILURE, RetryCondition.REFUSED_STREAM, RetryCondition.GATEWAY_ERROR)
_WORDS = {
    RetryCondition.CONNECT_FAILURE: "connect",
    RetryCondition.RESET: "reset",
    RetryCondition.PER_TRY_TIMEOUT: "per_try_timeout",
}
_NO_PAUSE = ir.Backoff(timedelta(0), timedelta(0))


def is_bounded(policy: ir.RetryPolicy, cluster: ir.Cluster) -> bool:
    """Whether the retries under way are counted."""
    return policy.budget is not None or cluster.circuit_breaker.max_retries is not None


def needs_hop(policy: ir.RetryPolicy, cluster: ir.Cluster) -> bool:
    """Whether something was asked for that NGINX's own retries cannot do."""
    if policy.per_try_timeout.duration:
        return True
    if not policy.attempts:
        return False
    if cluster.protocol.multiplexed and policy.retries_on(RetryCondition.GATEWAY_ERROR):
        return True
    others = set(policy.conditions) - set(_BY_NGINX)
    return bool(others or policy.statuses or policy.backoff or is_bounded(policy, cluster))


def depends_on_method(policy: ir.RetryPolicy) -> bool:
    """Whether idempotent requests are treated differently from the others, by NGINX's own retries."""
    return policy.retries_on(RetryCondition.GATEWAY_ERROR) and not policy.non_idempotent


def takes_gateway_errors(policy: ir.RetryPolicy) -> bool:
    """Whether all requests are tried again after gateway errors."""
    return policy.retries_on(RetryCondition.GATEWAY_ERROR) and policy.non_idempotent


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


def retries(policy: ir.RetryPolicy, cluster: ir.Cluster, try_location: Token) -> model.Retries:
    """The policy as ``tries.lua`` reads it."""
    pause = policy.backoff or _NO_PAUSE
    callee = cluster.name if cluster.identity is None else cluster.identity.service
    return model.Retries(
        try_location=try_location,
        hop_status=cluster.origin is None,
        per_try_timeout=quoting.lua_seconds(policy.per_try_timeout.duration),
        base=quoting.lua_seconds(pause.base),
        maximum=quoting.lua_seconds(pause.maximum),
        share=None if policy.budget is None else quoting.lua_fraction(policy.budget.share),
        callee=quoting.lua_string(callee),
        cluster=quoting.lua_string(cluster.name),
        most=_most(cluster.circuit_breaker),
        statuses=_statuses(policy),
        conditions=tuple(word(text) for text in _conditions(policy)),
        methods=tuple(quoting.lua_string(each) for each in policy.idempotent_methods),
        any_method=word("true" if policy.non_idempotent else "false"),
    )


def _most(breaker: ir.CircuitBreaker) -> Token | None:
    return None if breaker.max_retries is None else Token(str(breaker.max_retries))


def _statuses(policy: ir.RetryPolicy) -> Token:
    found = set(policy.statuses)
    if policy.retries_on(RetryCondition.GATEWAY_ERROR):
        found.update(GATEWAY_ERROR_STATUSES)
    return quoting.lua_string(f",{','.join(str(each) for each in sorted(found))},")


def _conditions(policy: ir.RetryPolicy) -> list[str]:
    found = [_WORDS[each] for each in _WORDS if policy.retries_on(each)]
    if policy.retries_on(RetryCondition.SERVER_ERROR):
        found = [*dict.fromkeys([*found, "reset"]), "server_error"]
    return found
