"""Two routes that take the same request, neither of which takes all that the other does.

Which one gets it is decided by the order of the language, but not by what either says: an example request tells the
reader. Exact where it is told; pairs are looked at up to a bound. A match that gets no request at all is
`dead-route`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshctl.diagnostics import Related
from meshctl.lint.checks import dead_route
from meshctl.lint.checks.base import Check, Violation
from meshctl.lint.checks.tables import tables, written
from meshctl.lint.facts import MatchFacts, Value, World, place
from meshctl.lint.requests import Conditions, Request, Search, UndecidedError, conditions

MOST = 10_000
"""Pairs of one mesh that are looked at."""


def check(world: World, params: Mapping[str, Value]) -> Iterator[Violation]:
    """The first overlap of each route with one that is tried before it."""
    told: set[tuple[str, str]] = set()
    seen: set[tuple[object, ...]] = set()
    dead: frozenset[tuple[object, ...]] | None = None
    left = MOST
    for table in tables(world):
        asked = [conditions(each) for each in table]
        for first, second in _pairs(asked):
            one, other = table[first], table[second]
            names = (other.service, other.route)
            pair = (written(one), written(other))
            if one.route == other.route or names in told or pair in seen:
                continue
            seen.add(pair)
            left -= 1
            if left < 0:
                return
            request = _overlap(asked, first, second)
            if request is None:
                continue
            if dead is None:
                dead = dead_route.proved(world)
            if written(other) not in dead:
                told.add(names)
                yield _violation(one, other, request)


def _pairs(asked: list[Conditions]) -> Iterator[tuple[int, int]]:
    """Pairs whose literal paths do not tell them apart at once; what takes everything contains all others."""
    for second, conditions_of_second in enumerate(asked):
        for first in range(second):
            if asked[first] and conditions_of_second and not _apart(asked[first], conditions_of_second):
                yield first, second


def _apart(one: Conditions, other: Conditions) -> bool:
    a, b = one[-1], other[-1]
    if a.place != "path" or b.place != "path" or "regex" in (a.kind, b.kind):
        return False
    return not (a.takes(b.value) or b.takes(a.value))


def _overlap(asked: list[Conditions], first: int, second: int) -> Request | None:
    """A request that gets to the first match and that the second would take, where neither contains the other."""
    one, other = asked[first], asked[second]
    try:
        if Search([one], [other]).run() is None or Search([other], [one]).run() is None:
            return None
        return Search([one, other], asked[:first]).run()
    except UndecidedError:
        return None


def _violation(one: MatchFacts, other: MatchFacts, request: Request) -> Violation:
    at = place(one)
    return Violation(
        place(other),
        {"service": one.service, "first": one.route, "second": other.route, "request": str(request)},
        related=(Related(at, f"this match of `{one.route}` gets it"),) if at is not None else (),
    )


CHECK = Check(check, {}, ("service", "first", "second", "request"))
