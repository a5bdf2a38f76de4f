"""Routes that no request gets to, proved: everything that a match takes is taken by those before it.

Exact over path, method, headers and query (:mod:`meshctl.lint.requests`), for each virtual host and each group of callers
that sees the same; a match is dead when it is so for all who see it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from meshctl.diagnostics import Related, Severity
from meshctl.lint.checks.base import Check, Violation
from meshctl.lint.checks.tables import Table, tables, written
from meshctl.lint.facts import MatchFacts, Value, World, place
from meshctl.lint.literals import listed
from meshctl.lint.requests import Conditions, Effort, Search, UndecidedError, conditions, free

_SHOWN = 3
_NOT_CHOSEN = "a match before it asks for a header that is not the client's to choose"
MOST = 5_000_000
"""The effort for one mesh."""

_Cover = tuple[MatchFacts, ...] | str
"""What takes all of a match; or why that is not known."""


def check(world: World, params: Mapping[str, Value]) -> Iterator[Violation]:
    """Matches that nothing gets to, with the routes that take everything before."""
    for match, cover in _covers(world):
        yield _violation(match, cover)


def proved(world: World) -> frozenset[tuple[object, ...]]:
    """The matches, as :func:`written` tells them apart, that are proved to get no request."""
    return frozenset(written(match) for match, cover in _covers(world) if not isinstance(cover, str))


def _covers(world: World) -> Iterable[tuple[MatchFacts, _Cover]]:
    covers: dict[tuple[object, ...], tuple[MatchFacts, _Cover]] = {}
    alive: set[tuple[object, ...]] = set()
    left = Effort(MOST)
    for table in tables(world):
        asked = [conditions(each) for each in table]
        for number, match in enumerate(table):
            key = written(match)
            if key in alive:
                continue
            cover = _cover(table, asked, number, left)
            if cover is None:
                alive.add(key)
                covers.pop(key, None)
            elif key not in covers or isinstance(cover, str):
                covers[key] = (match, cover)
    return covers.values()


def _cover(table: Table, asked: list[Conditions], number: int, left: Effort) -> _Cover | None:
    """None where a request gets to the match with that number, or nothing stands before it and nothing is known.

    ``left`` is the effort for the rest of the mesh.
    """
    before = asked[:number]
    sure = [nth for nth, each in enumerate(before) if free(each) == each]
    # Nothing gets to what those alone take whose headers are the client's to choose, whatever the others take.
    search = Search([free(asked[number])], [before[nth] for nth in sure], effort=Effort(whole=left))
    try:
        if search.run() is None:
            return tuple(table[sure[nth]] for nth in sorted(search.in_the_way))
        if len(sure) == number and free(asked[number]) == asked[number]:
            return None
        past = Search([asked[number]], list(map(free, before)), effort=Effort(whole=left))
        return None if past.run() is not None else _NOT_CHOSEN
    except UndecidedError as error:
        return str(error) if number else None


def _violation(match: MatchFacts, cover: _Cover) -> Violation:
    if isinstance(cover, str):
        how = f"may be dead, which was not found out: {cover}"
        return Violation(place(match), _values(match, how), severity=Severity.INFO)
    if not cover:
        return Violation(place(match), _values(match, "gets no request: no canonical path fits it"))
    routes = list(dict.fromkeys(each.route for each in cover))
    before = listed([f"`{each}`" for each in routes], _SHOWN)
    together = " together" if len(cover) > 1 else ""
    return Violation(
        place(match),
        _values(match, f"gets no request: {before} take{'s' if len(routes) == 1 else ''} them all{together}"),
        related=tuple(
            Related(at, f"this match of `{each.route}`")
            for each in cover[:_SHOWN]
            if (at := place(each)) is not None
        ),
    )


def _values(match: MatchFacts, how: str) -> dict[str, Value]:
    return {"route": match.route, "service": match.service, "how": how}


CHECK = Check(check, {}, ("route", "service", "how"))
