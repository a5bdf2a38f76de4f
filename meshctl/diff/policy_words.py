"""The policies of clusters, routes and listeners in words."""

from __future__ import annotations

from fractions import Fraction
from typing import assert_never

from meshctl import ir
from meshctl.diff.words import percent
from meshctl.ir.slo import ServiceLevel

_OFF = "off"


def balancing(value: ir.LoadBalancing) -> str:
    """The policy, and what a ring hashes on."""
    if value.hash_on is None:
        return value.policy
    return f"{value.policy} on {value.hash_on.key} {value.hash_on.name}".rstrip()


def outlier_detection(value: ir.OutlierDetection | None) -> str:
    """When an endpoint is left alone, and for how long."""
    if value is None:
        return _OFF
    time, interval = ir.duration_text(value.ejection_time), ir.duration_text(value.interval)
    share = percent(value.max_ejected)
    return f"{value.consecutive_errors} errors in a row eject for {time}, {share} at most, looked at every {interval}"


def health_check(value: ir.HealthCheck | None) -> str:
    """How an endpoint is asked."""
    if value is None:
        return _OFF
    match value.kind:
        case ir.HealthCheckKind.HTTP:
            what = f"GET {value.path}"
        case ir.HealthCheckKind.GRPC | ir.HealthCheckKind.TCP:
            what = value.kind.value
        case _:
            assert_never(value.kind)
    times = f"every {ir.duration_text(value.interval)} for at most {ir.duration_text(value.timeout)}"
    return f"{what} {times}, out after {value.unhealthy_threshold}, back after {value.healthy_threshold}"


def rate_limit(value: ir.RateLimit | None) -> str:
    """How many requests are let in."""
    if value is None:
        return _OFF
    whom = " of each caller" if value.by_caller else ""
    return f"{value.requests}{whom} in {ir.duration_text(value.per)}, {value.burst} at once"


def tracing(value: ir.Tracing | None) -> str:
    """Where spans go, and of how many requests."""
    if value is None:
        return _OFF
    return f"{percent(value.sampling)} to {value.collector}"


def fault(value: ir.Fault | None) -> str:
    """What fails on purpose."""
    parts = []
    if value is not None and value.delay is not None:
        parts.append(f"delay {ir.duration_text(value.delay.duration)}{_of(value.delay.share)}")
    if value is not None and value.abort is not None:
        parts.append(f"abort {value.abort.status}{_of(value.abort.share)}")
    return ", ".join(parts) or "none"


def _of(share: Fraction) -> str:
    return "" if share == 1 else f" for {percent(share)}"


def mirrors(service: str, value: tuple[ir.Mirror, ...]) -> dict[str, str]:
    """By cluster, the share that is copied to it; subsets of ``service`` by their own name."""
    found: dict[str, str] = {}
    for each in value:
        name = each.cluster.removeprefix(f"{service}.")
        found[name] = ", ".join(filter(None, (found.get(name), percent(each.share))))
    return found


def bound(value: int | None, otherwise: str) -> str:
    """A number that may be left out."""
    return otherwise if value is None else str(value)


def access_log(its: ir.AccessLog) -> str:
    """What a line tells besides what every line does."""
    if not its.enabled:
        return "off"
    told = [f"{each.name}{' (redacted)' if each.redacted else ''}" for each in its.headers]
    headers = f", with headers {', '.join(told)}" if told else ""
    return (
        f"on{headers}"
        + {"drop": "", "names": ", with the names in queries", "keep": ", with queries"}[its.query]
        + (f", {percent(its.sampling)} of what went well" if its.sampling < 1 else "")
    )


def objectives(value: ServiceLevel | None) -> str:
    """What callers are promised, to the last digit: between 99.99% and 99.999% is ten times the budget."""
    if value is None:
        return "none"
    available = [] if value.availability is None else [f"availability {_exact(value.availability)}%"]
    latency = (f"p{_exact(each.share)} {ir.duration_text(each.within)}" for each in value.latency)
    return f"{', '.join((*available, *latency))} over {ir.duration_text(value.window)}"


def _exact(share: Fraction) -> str:
    # Objectives have four digits after the point at most (meshctl/spec/slo.py), which this keeps.
    return f"{float(share * 100):g}"
