"""How long a request may take."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from msgspec import Struct

from meshctl.diagnostics import Position
from meshctl.ir import BodyTimeout, Feature, PerTryTimeout, Route, Timeout, duration_text
from meshctl.simulate import retries
from meshctl.simulate.steps import Step, Topic, place_of


def limit(timeout: Timeout | PerTryTimeout | BodyTimeout) -> timedelta | None:
    """The time; None where it is switched off."""
    return timeout.duration or None


class WorstCase(Struct, frozen=True):
    """The longest that a request may take, from its last byte to the last of the answer.

    ``limit`` is None where nothing but the idle timeout, or a pause of the proxy's own, bounds it.
    """

    limit: timedelta | None
    arithmetic: str
    at: Position | None = None
    """What bounds it."""


def worst_case(route: Route, method: str) -> WorstCase:
    """The timeout, or all tries and the pauses between them if those are sooner over; behind the delay of a fault."""
    whole, tried = limit(route.timeout), _tries(route, method)
    if tried.limit is not None and (whole is None or tried.limit < whole):
        found = tried
    elif whole is None:
        found = tried if tried.arithmetic else WorstCase(None, "no limit but idleTimeout", route.timeout.at)
    else:
        alone = f" (the tries alone: {tried.arithmetic})" if tried.arithmetic else ""
        found = WorstCase(whole, f"the timeout of {duration_text(whole)}{alone}", route.timeout.at)
    delay = route.fault.delay if route.fault is not None else None
    if delay is None or delay.share == 0 or found.limit is None:
        return found
    text = f"a delay of {duration_text(delay.duration)} + {found.arithmetic}"
    return WorstCase(found.limit + delay.duration, text, found.at)


def _tries(route: Route, method: str) -> WorstCase:
    """What the tries may take by themselves; no arithmetic where one alone may take for ever."""
    per_try, at = limit(route.retries.per_try_timeout), route.retries.per_try_timeout.at
    if per_try is None:
        return WorstCase(None, "")
    again = retries.attempts(route.retries, method)
    each, backoff = duration_text(per_try), route.retries.backoff
    if again == 0:
        return WorstCase(per_try, f"one try of {each}", at)
    text, total = f"{again + 1} tries x {each}", per_try * (again + 1)
    if backoff is None:
        return WorstCase(None, f"{text} = {duration_text(total)} and the proxy's own pauses", at)
    pauses = retries.longest_pauses(backoff, again)
    shown = pauses if again <= _SHOWN else [sum(pauses, timedelta())]
    total = sum(pauses, total)
    added = " + ".join(map(duration_text, shown))
    return WorstCase(total, f"{text} + pauses {added} = {duration_text(total)}", at)


_SHOWN = 4
"""Pauses that are added up one by one in words."""


def told(route: Route, method: str) -> Iterator[Step]:
    """The limits, and what they come to."""
    if route.streaming:
        at = place_of(route.asks, Feature.STREAMING)
        yield Step(Topic.TIME, "it streams: no limit but idleTimeout", at)
        return
    if (body := limit(route.body_timeout)) is not None:
        text = f"an upload that stands still for {duration_text(body)} is answered 408 or cut"
        yield Step(Topic.TIME, text, route.body_timeout.at)
    if (per_try := limit(route.retries.per_try_timeout)) is not None:
        text = f"{duration_text(per_try)} for one try"
        yield Step(Topic.TIME, text, route.retries.per_try_timeout.at)
    worst = worst_case(route, method)
    most = f"at most {duration_text(worst.limit)}: " if worst.limit is not None else ""
    yield Step(Topic.TIME, f"{most}{worst.arithmetic}", worst.at)
