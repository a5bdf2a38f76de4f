"""Two routes that take the same request, neither of which takes all that the other does.

Which one gets it is decided by the order of the language, but not by what either says: an example request tells the
reader. Exact where it is told; how many matches could not be compared in bounded work is a remark. A match that gets
no request at all is `dead-route`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from meshctl.diagnostics import Related, Severity
from meshctl.lint.checks import dead_route
from meshctl.lint.checks.base import Check, Violation
from meshctl.lint.checks.tables import Table, tables, written
from meshctl.lint.facts import MatchFacts, Value, World, place
from meshctl.lint.requests import Conditions, Effort, Request, Search, UndecidedError, conditions

MOST = 5_000_000
"""The effort for one mesh."""


def check(world: World, params: Mapping[str, Value]) -> Iterator[Violation]:
    """The first overlap of each route with one that is tried before it."""
    comparison = _Comparison(world, Effort(MOST))
    for table in tables(world):
        yield from comparison.overlaps(table)
    if comparison.undecided:
        yield _remark(comparison.undecided)


class _Comparison(Struct):
    """What is told and known so far."""

    world: World
    left: Effort
    undecided: dict[tuple[object, ...], tuple[MatchFacts, str]] = field(default_factory=dict)
    """Matches that were not compared with all before them, and why."""
    _told: set[tuple[str, str]] = field(default_factory=set)
    _dead: frozenset[tuple[object, ...]] | None = None

    def overlaps(self, table: Table) -> Iterator[Violation]:
        """Those of one virtual host."""
        asked = [conditions(each) for each in table]
        for second, other in enumerate(table):
            try:
                # Most pairs differ in their literal paths, and cost no more than this.
                self.left.spend(second)
                found = self._first(table, asked, second)
            except UndecidedError as error:
                self.undecided.setdefault(written(other), (other, str(error)))
                continue
            if found is not None:
                self._told.add((other.service, other.route))
                yield _violation(*found)

    def _first(
        self, table: Table, asked: list[Conditions], second: int
    ) -> tuple[MatchFacts, MatchFacts, Request] | None:
        """The first match before ``second`` with which it shares a request."""
        other = table[second]
        why: UndecidedError | None = None
        for first in range(second):
            if self._is_clear(table, asked, first, second):
                continue
            try:
                request = _overlap(asked, first, second, Effort(whole=self.left))
            except UndecidedError as error:
                why = error
                if self.left.left < 0:
                    break
                continue
            if request is not None and not self._is_dead(other):
                return table[first], other, request
        if why is not None:
            raise why
        return None

    def _is_clear(self, table: Table, asked: list[Conditions], first: int, second: int) -> bool:
        """Whether nothing need be asked about a pair: what takes everything contains all others."""
        one, other = table[first], table[second]
        if not asked[first] or not asked[second] or one.route == other.route:
            return True
        return (other.service, other.route) in self._told or _apart(asked[first], asked[second])

    def _is_dead(self, match: MatchFacts) -> bool:
        if self._dead is None:
            self._dead = dead_route.proved(self.world)
        return written(match) in self._dead


def _apart(one: Conditions, other: Conditions) -> bool:
    a, b = one[-1], other[-1]
    if a.place != "path" or b.place != "path" or "regex" in (a.kind, b.kind):
        return False
    return not (a.takes(b.value) or b.takes(a.value))


def _overlap(asked: list[Conditions], first: int, second: int, effort: Effort) -> Request | None:
    """A request that gets to the first match and that the second would take, where neither contains the other."""
    one, other = asked[first], asked[second]
    if Search([one], [other], effort=effort).run() is None:
        return None
    if Search([other], [one], effort=effort).run() is None:
        return None
    return Search([one, other], asked[:first], effort=effort).run()


def _violation(one: MatchFacts, other: MatchFacts, request: Request) -> Violation:
    at = place(one)
    how = f"{request} is for `{other.route}` of `{other.service}` as well, but goes to `{one.route}`"
    return Violation(
        place(other),
        {"service": one.service, "how": how},
        related=(Related(at, f"this match of `{one.route}` gets it"),) if at is not None else (),
    )


def _remark(undecided: Mapping[tuple[object, ...], tuple[MatchFacts, str]]) -> Violation:
    (first, why), *more = undecided.values()
    others = f" and {len(more)} more" if more else ""
    how = f"a match of `{first.route}` of `{first.service}`{others} could not be compared with all before it: {why}"
    return Violation(place(first), {"service": first.service, "how": how}, severity=Severity.INFO)


CHECK = Check(check, {}, ("service", "how"))
