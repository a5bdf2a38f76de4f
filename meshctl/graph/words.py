"""Routes and policies in a few words, for panels and labels."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from fractions import Fraction
from typing import assert_never

from meshctl import ir

_SEPARATOR = " · "


def percent(share: Fraction) -> str:
    """A share in percent, with a decimal only where it is below 10 and not whole; never 0% of something."""
    value = share * 100
    if 0 < value < Fraction(1, 10):
        return "<0.1%"
    rounded = round(float(value), 1)
    return f"{rounded:.0f}%" if rounded >= 10 or rounded == int(rounded) else f"{rounded:.1f}%"


def joined(parts: Iterable[str]) -> str:
    """Those that say something."""
    return _SEPARATOR.join(each for each in parts if each)


def matched(match: ir.RouteMatch) -> str:
    """Which requests a route takes."""
    parts = [" ".join(match.methods), _path(match.path)]
    parts += [_value(each) for each in match.headers]
    parts += [f"?{_value(each)}" for each in match.queries]
    return joined(parts) or "everything"


def _path(match: ir.PathMatch) -> str:
    if match.takes_everything:
        return ""
    match match.kind:
        case ir.PathMatchKind.EXACT:
            return f"= {match.value}"
        case ir.PathMatchKind.PREFIX:
            return f"{match.value}/*"
        case ir.PathMatchKind.REGEX:
            return f"~ {match.value}"
    assert_never(match.kind)


def _value(match: ir.HeaderMatch | ir.QueryMatch) -> str:
    match match.kind:
        case ir.ValueMatchKind.EXACT:
            return f"{match.name}={match.value}"
        case ir.ValueMatchKind.REGEX:
            return f"{match.name}~{match.value}"
        case ir.ValueMatchKind.PRESENT:
            return f"{match.name}=*"
    assert_never(match.kind)


def leads(route: ir.Route, service: str) -> str:
    """Where a route of ``service`` sends requests, or what it answers."""
    match route.answer:
        case ir.Redirect():
            return f"redirect {route.answer.status}"
        case ir.DirectResponse():
            return f"answers {route.answer.status}"
        case None:
            pass
        case _:
            assert_never(route.answer)
    if not route.backends:
        return "nowhere: 503"
    total = sum(each.weight for each in route.backends)
    if len(route.backends) == 1:
        return short(route.backends[0].cluster, service)
    return joined(
        f"{short(each.cluster, service)} {percent(Fraction(each.weight, total))}" for each in route.backends
    )


def short(cluster: str, service: str) -> str:
    """A subset of ``service`` by its own name."""
    return cluster.removeprefix(f"{service}.")


def details(route: ir.Route, service: str) -> str:
    """Time, tries, copies, changes and faults."""
    if route.answer is not None:
        return ""
    return joined(
        (
            "streaming" if route.streaming else _timeout(route.timeout.duration),
            _tries(route.retries),
            *(f"{percent(each.share)} copied to {short(each.cluster, service)}" for each in route.mirrors),
            "rewrites" if route.rewrite is not None else "",
            _fault(route.fault),
        )
    )


def _timeout(duration: timedelta) -> str:
    return f"timeout {ir.duration_text(duration)}" if duration else "no timeout"


def _tries(retries: ir.RetryPolicy) -> str:
    if not retries.attempts:
        return "one try"
    return f"up to {retries.attempts + 1} tries"


def _fault(fault: ir.Fault | None) -> str:
    if fault is None:
        return ""
    parts = []
    if fault.delay is not None:
        parts.append(f"delays {percent(fault.delay.share)} by {ir.duration_text(fault.delay.duration)}")
    if fault.abort is not None:
        parts.append(f"aborts {percent(fault.abort.share)} with {fault.abort.status}")
    return joined(parts)


def rate_limit(limit: ir.RateLimit) -> str:
    """How many requests are let in."""
    whom = " of each caller" if limit.by_caller else ""
    return f"{limit.requests}{whom} per {ir.duration_text(limit.per)}, {limit.burst} at once"


def health_check(check: ir.HealthCheck) -> str:
    """How endpoints are asked."""
    what = f"GET {check.path}" if check.kind is ir.HealthCheckKind.HTTP else check.kind.value
    return f"{what} every {ir.duration_text(check.interval)}"


def outlier_detection(found: ir.OutlierDetection) -> str:
    """When an endpoint is left alone."""
    return f"{found.consecutive_errors} errors in a row, for {ir.duration_text(found.ejection_time)}"


def circuit_breaker(found: ir.CircuitBreaker) -> str:
    """How much may be under way."""
    return f"{found.max_requests} requests on {found.max_connections} connections"


def balancing(found: ir.LoadBalancing) -> str:
    """The policy, and what a ring hashes on."""
    on = found.hash_on
    return found.policy.value if on is None else f"{found.policy.value} on {on.key.value} {on.name}".rstrip()
