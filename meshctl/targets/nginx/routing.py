"""Which request goes where: a server for each callee, and in it one ordered map.

The map's key is made of what the callee's routes ask for (method, conditions, target); its keys are regular
expressions in the routes' order, so the first that matches wins. Above ``MOST_RULES`` of them the table is cut
up by the segments of the path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from meshctl import ir
from meshctl.targets.nginx import matching, quoting
from meshctl.targets.nginx.matching import Condition
from meshctl.targets.nginx.model_outbound import Bucket, Buckets, Routing, Rule, Table
from meshctl.targets.nginx.quoting import Token

MOST_RULES = 50
"""Rules of one virtual host that are tried one after the other; the last of 1,000 costs 78 µs."""

RULES_OF_A_BUCKET = 25
"""Segments share a table up to so many rules: a variable for each would cost every request its memory."""

_MOST_COPIES = 20_000
"""Rules that hold for every segment are copied into each table; beyond, the table stays in one piece."""

_DEEPEST = 8
_LITERAL_SEGMENTS = re.compile(r"((?:/[A-Za-z0-9_-]+)+)(?:/(?![?*+{])|\Z)")
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


@dataclass(frozen=True, slots=True)
class NumberedRoute:
    """A route, and the number of what becomes of its requests."""

    route: ir.Route
    number: int


def mesh_host(domain: str) -> Token:
    """The key of the map that knows names which could be of this mesh: unknown ones are answered 403."""
    return quoting.map_regex(rf"(?:^[^.]+|\.{quoting.literal_regex(domain)})\z")


def reachable(routes: Sequence[NumberedRoute]) -> Sequence[NumberedRoute]:
    """Without those behind one that takes everything."""
    for index, each in enumerate(routes):
        if each.route.match.takes_everything:
            return routes[: index + 1]
    return routes


def conditions(routes: Iterable[NumberedRoute]) -> dict[Condition, int]:
    """What the routes ask of headers and of the query, numbered."""
    found: list[Condition] = []
    for each in routes:
        found += each.route.match.headers
        found += each.route.match.queries
    return matching.numbered(found)


def routing(number: int, routes: Sequence[NumberedRoute], numbers: dict[Condition, int]) -> Routing:
    """The tables of virtual host ``number``; ``routes`` are the :func:`reachable` ones."""
    writer = _Writer(number, routes, numbers)
    variable = quoting.variable("route", number)
    writer.table(variable, routes, 0)
    return Routing(writer.key(), variable, tuple(writer.tables), tuple(writer.buckets))


@dataclass(slots=True)
class _Writer:
    """Writes the tables of one virtual host, all with the same key."""

    number: int
    routes: Sequence[NumberedRoute]
    numbers: dict[Condition, int]
    tables: list[Table] = field(default_factory=list)
    buckets: list[Buckets] = field(default_factory=list)
    _count: int = 0

    _asks_for_method: bool = field(init=False)
    _has_expressions: bool = field(init=False)

    def __post_init__(self) -> None:
        self._asks_for_method = any(each.route.match.methods for each in self.routes)
        self._has_expressions = any(
            each.route.match.path.kind is ir.PathMatchKind.REGEX for each in self.routes
        )

    def key(self) -> Token:
        method = "$request_method " if self._asks_for_method else ""
        holding = f"{quoting.variable('conditions', self.number)} " if self.numbers else ""
        target = "$canonical_path" if self._has_expressions else "$request_uri"
        return Token(f'"{method}{holding}{target}"')

    def table(self, variable: Token, routes: Sequence[NumberedRoute], depth: int) -> None:
        """``variable`` becomes the number of the first of ``routes`` that takes the request."""
        if len(routes) <= MOST_RULES or depth == _DEEPEST:
            self._plain(variable, routes)
            return
        wide, narrow = _by_segment(routes, depth)
        groups = list(_groups(narrow))
        if not groups or len(wide) * len(groups) > _MOST_COPIES:
            self._plain(variable, routes)
            return
        rest = self._variable()
        named = [(segments, self._variable()) for segments in groups]
        self._plain(rest, [routes[index] for index in wide])
        for segments, its in named:
            indexes = sorted(wide + [index for segment in segments for index in narrow[segment]])
            deeper = depth + 1 if len(segments) == 1 else _DEEPEST
            self.table(its, [routes[index] for index in indexes], deeper)
        self._bucket(variable, rest, named, depth)

    def _bucket(
        self, variable: Token, rest: Token, named: Sequence[tuple[Sequence[str], Token]], depth: int
    ) -> None:
        captured = quoting.variable(f"{_ORDINALS[depth]}_{self.number}", len(self.buckets))
        self.buckets.append(
            Buckets(
                variable=variable,
                segment=quoting.variable(f"segment_{self.number}", len(self.buckets)),
                pattern=quoting.map_regex(f"^{'/[^/?]*' * depth}/(?<{captured[1:]}>[^/?]*)"),
                captured=captured,
                rest=rest,
                each=tuple(
                    Bucket(quoting.map_key(segment), its) for segments, its in named for segment in segments
                ),
            )
        )

    def _variable(self) -> Token:
        self._count += 1
        return quoting.variable(f"route_{self.number}", self._count - 1)

    def _plain(self, variable: Token, routes: Sequence[NumberedRoute]) -> None:
        otherwise = 0
        if routes and routes[-1].route.match.takes_everything:
            *routes, last = routes
            otherwise = last.number
        rules = tuple(Rule(self._pattern(each), each.number) for each in routes)
        self.tables.append(Table(variable, rules, otherwise))

    def _pattern(self, each: NumberedRoute) -> Token:
        match = each.route.match
        pattern = "^"
        if self._asks_for_method:
            pattern += f"{matching.method(match.methods)} "
        if self.numbers:
            pattern += f"{matching.holding((*match.headers, *match.queries), self.numbers)} "
        if self._has_expressions:
            return quoting.map_pattern(pattern + matching.path(match.path))
        return quoting.map_regex(pattern + matching.target(match.path))


def _by_segment(routes: Sequence[NumberedRoute], depth: int) -> tuple[list[int], dict[str, list[int]]]:
    """The indexes of routes that take any segment at ``depth``, and those of each segment."""
    wide: list[int] = []
    narrow: dict[str, list[int]] = {}
    for index, each in enumerate(routes):
        segment = _segment(each, depth)
        (narrow.setdefault(segment, []) if segment else wide).append(index)
    return wide, narrow


def _groups(narrow: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, ...]]:
    """Segments that share a table; one with many rules has its own."""
    gathered: list[str] = []
    rules = 0
    for segment, indexes in narrow.items():
        if len(indexes) >= RULES_OF_A_BUCKET:
            yield (segment,)
            continue
        gathered.append(segment)
        rules += len(indexes)
        if rules >= RULES_OF_A_BUCKET:
            yield tuple(gathered)
            gathered, rules = [], 0
    if gathered:
        yield tuple(gathered)


def _segment(each: NumberedRoute, depth: int) -> str:
    """The segment that all paths of a route have at ``depth``; empty where it may be any.

    In lower case: literal keys of a map compare without it, so both spellings share a table.
    """
    path = each.route.match.path
    literal = path.value
    if path.kind is ir.PathMatchKind.REGEX:
        found = None if "|" in path.value else _LITERAL_SEGMENTS.match(path.value)
        literal = found[1] if found else ""
    segments = literal.split("/")[1:]
    return segments[depth].lower() if depth < len(segments) else ""
