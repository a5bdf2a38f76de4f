"""In which order matches are tried, and which of them are never reached."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Related
from meshctl.spec import Source
from meshctl.spec.matching import HeaderMatchSpec, PathMatchSpec, QueryMatchSpec
from meshctl.spec.routing import RouteMatchSpec, RouteSpec

_EXACT, _PREFIX, _REGEX, _EVERYTHING = range(4)

Specificity = tuple[int, int, bool, int, int, bool]


def specificity(match: RouteMatchSpec) -> Specificity:
    """Sorts the more particular match first.

    Gateway API's order (HTTPRouteRule.matches: exact path, longest prefix, method, most headers, most query
    parameters), and where that leaves it to the implementation: a regex comes after the prefixes but before
    what takes every path, and `from` at last.
    """
    kind, text = _path(match.path)
    return (
        kind,
        -len(text) if kind == _PREFIX else 0,
        not match.methods,
        -len(match.headers or ()),
        -len(match.query or ()),
        not match.callers,
    )


def _path(path: PathMatchSpec | None) -> tuple[int, str]:
    if path is not None and path.exact is not None:
        return _EXACT, path.exact
    if path is not None and path.regex is not None:
        return _REGEX, path.regex
    prefix = (path.prefix or "").rstrip("/") if path is not None else ""
    return (_PREFIX, prefix) if prefix else (_EVERYTHING, "")


def takes(path: PathMatchSpec | None, target: str) -> bool | None:
    """Whether a condition takes the path ``target``; None where only a proxy's regex knows."""
    kind, text = _path(path)
    if kind == _REGEX:
        return None
    if kind == _EVERYTHING or target == text:
        return True
    return kind == _PREFIX and target.startswith(f"{text}/")


_Conditions = tuple[
    tuple[int, str],
    tuple[tuple[str, HeaderMatchSpec], ...],
    tuple[tuple[str, QueryMatchSpec], ...],
]


EVERY = RouteMatchSpec.model_construct()
"""What a route without matches takes. Made without a check, for which pydantic would compile one first."""


class _Taken(Struct):
    """Earlier matches with the same path, headers and query: which methods and callers they take."""

    methods: frozenset[str]
    callers: frozenset[str]
    source: Source


def unreachable(routes: Sequence[RouteSpec], source: Source, *, listed: bool) -> Iterator[Finding]:
    """Matches all of whose requests are taken before, by one that stands in the same order and asks no more.

    ``source`` is the place of ``routes``.
    """
    tried = [
        (route, match, source[index]["matches"][number] if route.matches else source[index])
        for index, route in enumerate(routes)
        for number, match in enumerate(route.matches or (EVERY,))
    ]
    if len(tried) < 2:
        return
    if not listed:
        tried.sort(key=lambda each: specificity(each[1]))
    before: dict[tuple[str, _Conditions], list[_Taken]] = {}
    for route, match, at in tried:
        own = _conditions(match)
        mine = _Taken(frozenset(match.methods or ()), frozenset(match.callers or ()), at)
        firsts = [_first(before, name, own, mine) for name in route.hostnames or ("",)]
        if all(first is not None for first in firsts):
            where = firsts[0].source.here if firsts[0] is not None else None
            yield finding(
                "unreachable-route",
                at.here,
                f"no request gets to this match of route `{route.name}`",
                related=(Related(where, "this one takes them all"),) if where else (),
            )
            continue
        for name in route.hostnames or ("",):
            before.setdefault((name, own), []).append(mine)


def _first(
    before: dict[tuple[str, _Conditions], list[_Taken]], name: str, own: _Conditions, mine: _Taken
) -> _Taken | None:
    """The earlier match under the same host name that takes all that one with these conditions does."""
    path, headers, query = own
    for wider in _wider(path):
        found = before.get((name, (wider, headers, query)), ())
        if headers or query:
            found = (*found, *before.get((name, (wider, (), ())), ()))
        for each in found:
            if _within(mine.methods, each.methods) and _within(mine.callers, each.callers):
                return each
    return None


def _wider(path: tuple[int, str]) -> Iterator[tuple[int, str]]:
    """The path, and every prefix that takes it."""
    yield path
    kind, text = path
    if kind == _EXACT:
        yield _PREFIX, text.rstrip("/")
    while kind in (_EXACT, _PREFIX) and "/" in text:
        text = text.rpartition("/")[0]
        yield _PREFIX, text
    yield _EVERYTHING, ""


def _within(narrow: frozenset[str], wide: frozenset[str]) -> bool:
    """Whether one set of choices holds the other; an empty one stands for all."""
    return not wide or (bool(narrow) and narrow <= wide)


def _conditions(match: RouteMatchSpec) -> _Conditions:
    return (
        _path(match.path),
        tuple(sorted(match.headers.items(), key=lambda each: each[0])) if match.headers else (),
        tuple(sorted(match.query.items(), key=lambda each: each[0])) if match.query else (),
    )
