"""Which request goes where: a server for each callee, and in it one ordered map.

The map's key is made of what the callee's routes ask for (method, headers, target); its keys are regular
expressions in the routes' order, so the first that matches wins. Above ``MOST_RULES`` of them the table is cut
up by the first segment of the path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from meshctl import ir
from meshctl.targets.nginx import quoting
from meshctl.targets.nginx.model import (
    Bucket,
    Buckets,
    Destination,
    HeaderCondition,
    Routing,
    Rule,
    Table,
    VirtualHost,
)
from meshctl.targets.nginx.quoting import Token

MOST_RULES = 50
"""Rules of one virtual host that are tried one after the other; the last of 1,000 costs 78 µs."""


@dataclass(frozen=True, slots=True)
class NumberedRoute:
    """A route, and the number of what becomes of its requests."""

    route: ir.Route
    number: int


def mesh_host(domain: str) -> Token:
    """The key of the map that knows names which could be of this mesh: unknown ones are answered 403."""
    return quoting.map_regex(rf"(?:^[^.]+|\.{quoting.literal_regex(domain)})\z")


def virtual_host(
    number: int,
    host: ir.VirtualHost,
    routes: Sequence[NumberedRoute],
    destinations: tuple[Destination, ...],
) -> VirtualHost:
    """The server of one callee."""
    routes = _reachable(routes)
    conditions = tuple(dict.fromkeys(header for each in routes for header in each.route.match.headers))
    return VirtualHost(
        names=tuple(quoting.name(hostname) for hostname in host.hostnames),
        headers_variable=quoting.variable("headers", number),
        headers_key=quoting.lua_string(str(number)),
        header_conditions=tuple(
            HeaderCondition(quoting.lua_string(each.name), quoting.lua_string(each.value))
            for each in conditions
        ),
        routing=_Writer(number, routes, conditions).routing(),
        destinations=destinations,
    )


def _reachable(routes: Sequence[NumberedRoute]) -> Sequence[NumberedRoute]:
    for index, each in enumerate(routes):
        if each.route.match.takes_everything:
            return routes[: index + 1]
    return routes


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes the tables of one virtual host, all with the same key."""

    number: int
    routes: Sequence[NumberedRoute]
    conditions: tuple[ir.HeaderMatch, ...]

    @property
    def _asks_for_method(self) -> bool:
        return any(each.route.match.methods for each in self.routes)

    def routing(self) -> Routing:
        variable = quoting.variable("route", self.number)
        key = Token(f'"{self._key()}"')
        if len(self.routes) <= MOST_RULES:
            return Routing(key, variable, (self._table(variable, self.routes),), None)
        segments = dict.fromkeys(_segment(each) for each in self.routes if not _takes_all_segments(each))
        rest = self._table(self._numbered(0), [each for each in self.routes if _takes_all_segments(each)])
        tables = [
            self._table(self._numbered(index), self._bucket(segment))
            for index, segment in enumerate(segments, start=1)
        ]
        buckets = Buckets(
            segment=quoting.variable("segment", self.number),
            capture=quoting.word(f"first_{self.number}"),
            captured=quoting.variable("first", self.number),
            rest=rest.variable,
            each=tuple(
                Bucket(quoting.map_key(segment), table.variable)
                for segment, table in zip(segments, tables, strict=True)
            ),
        )
        return Routing(key, variable, (rest, *tables), buckets)

    def _numbered(self, index: int) -> Token:
        return quoting.variable(f"route_{self.number}", index)

    def _bucket(self, segment: str) -> list[NumberedRoute]:
        return [each for each in self.routes if _takes_all_segments(each) or _segment(each) == segment]

    def _key(self) -> str:
        method = "$request_method " if self._asks_for_method else ""
        headers = f"{quoting.variable('headers', self.number)} " if self.conditions else ""
        return f"{method}{headers}$request_uri"

    def _table(self, variable: Token, routes: Sequence[NumberedRoute]) -> Table:
        otherwise = 0
        if routes and routes[-1].route.match.takes_everything:
            *routes, last = routes
            otherwise = last.number
        return Table(variable, tuple(Rule(self._pattern(each), each.number) for each in routes), otherwise)

    def _pattern(self, each: NumberedRoute) -> Token:
        match = each.route.match
        pattern = "^"
        if self._asks_for_method:
            pattern += f"{_method(match.methods)} "
        if self.conditions:
            pattern += "".join("1" if condition in match.headers else "." for condition in self.conditions)
            pattern += " "
        return quoting.map_regex(pattern + _path(match.path))


def _method(methods: tuple[str, ...]) -> str:
    if not methods:
        return "[^ ]+"
    return f"(?:{'|'.join(quoting.literal_regex(method) for method in methods)})"


def _path(match: ir.PathMatch) -> str:
    if match.takes_everything:
        return "/"
    path = quoting.literal_regex(match.value)
    match match.kind:
        case ir.PathMatchKind.EXACT:
            return rf"{path}(?:\?|\z)"
        case ir.PathMatchKind.PREFIX:
            return rf"{path}(?:[/?]|\z)"
        case ir.PathMatchKind.REGEX:
            raise NotImplementedError
        case _:
            assert_never(match.kind)


def _takes_all_segments(each: NumberedRoute) -> bool:
    return each.route.match.path.takes_everything


def _segment(each: NumberedRoute) -> str:
    # In lower case: literal keys of a map compare without it, so both spellings share a bucket.
    return each.route.match.path.value.split("/")[1].lower()
