"""Limits that cannot hold what comes: what callers mean to ask, or let in themselves, against the callee's limit.

A limit counts in each sidecar, so a service lets in as often as it has instances (for each caller, where it counts by
caller). A caller asks as much as its declared load, or else what its own limit lets in, each of which is taken for
one request here; of a caller with neither nothing is known, and it counts for nothing. Retries come on top.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from fractions import Fraction

from meshctl.diagnostics import Severity
from meshctl.lint.checks.base import Check, Violation
from meshctl.lint.facts import CallFacts, ServiceFacts, Value, World, place
from meshctl.lint.literals import digest

_MICROSECONDS = 1_000_000
_SHOWN = 4


def check(world: World, params: Mapping[str, Value]) -> Iterator[Violation]:
    """Callees whose callers together, or one of whose callers, ask for more; a remark unless all of it is declared."""
    made: dict[str, list[CallFacts]] = {}
    for call in world.calls:
        if call.protocol != "tcp":
            made.setdefault(call.callee, []).append(call)
    for service in world.services.values():
        limit = _limit(service)
        if limit is None:
            continue
        asking = [(call, rate) for call in made.get(service.name, ()) if (rate := _rate(world, call))]
        if service.limit_by_caller:
            for call, rate in asking:
                if rate > limit:
                    yield _violation(service, limit, [(call, rate)])
        elif sum(rate for _, rate in asking) > limit:
            yield _violation(service, limit, asking)


def _limit(service: ServiceFacts) -> Fraction | None:
    """Requests a second that all instances let in; None where that is not known."""
    if not service.limit_requests or not service.instances:
        return None
    return _per_second(service.limit_requests, service.limit_per) * service.instances


def _rate(world: World, call: CallFacts) -> Fraction:
    """Requests a second that a caller may ask; zero where nothing is known of it."""
    if call.load_requests:
        return _per_second(call.load_requests, call.load_per)
    caller = world.services.get(call.caller)
    if caller is None or (own := _limit(caller)) is None:
        return Fraction(0)
    return own * (len(caller.callers) if caller.limit_by_caller else 1)


def _per_second(requests: int, per: timedelta) -> Fraction:
    return Fraction(requests * _MICROSECONDS, per // timedelta(microseconds=1))


def _violation(service: ServiceFacts, limit: Fraction, asking: list[tuple[CallFacts, Fraction]]) -> Violation:
    largest = sorted(asking, key=lambda each: (-each[1], each[0].caller))
    told = ", ".join(
        f"{call.caller} {_text(rate)}{'' if call.load_requests else ' by its own limit'}"
        for call, rate in largest[:_SHOWN]
    )
    rest = [f"{call.caller} {_text(rate)}" for call, rate in largest[_SHOWN:]]
    more = f" and {len(rest)} more ({digest(rest)})" if rest else ""
    declared = all(call.load_requests for call, _ in asking)
    return Violation(
        place(service, "rateLimit"),
        {
            "service": service.name,
            "limit": _text(limit),
            "asked": _text(sum((rate for _, rate in asking), Fraction(0))),
            "callers": f"{told}{more}",
        },
        severity=None if declared else Severity.INFO,
    )


def _text(rate: Fraction) -> str:
    return f"{float(rate):.4g}"


CHECK = Check(check, {}, ("service", "limit", "asked", "callers"))
