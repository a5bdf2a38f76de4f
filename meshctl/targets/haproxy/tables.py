"""Many routes as tables: HAProxy asks its rules one after the other, and looks a key up at once.

A route that asks for nothing but a path goes into a table of its host; what it finds there is the number
of the first such route. The other routes stay rules, and yield to a number below their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from meshctl import ir
from meshctl.targets.haproxy import quoting
from meshctl.targets.haproxy.model import Lookup, PathTable, RouteTarget
from meshctl.targets.haproxy.quoting import Token

FEWEST = 64
"""With fewer routes of a path alone, rules are as quick."""


class Paths(Struct):
    """The numbers of a host's routes of a path alone, by what they take."""

    exact: dict[str, int] = field(default_factory=dict)
    prefix: dict[str, int] = field(default_factory=dict)

    def first_numbers(self) -> tuple[dict[str, int], dict[str, int]]:
        """The same tables, where each key has the least number of all that take it."""
        prefix = {path: self._least(path, number) for path, number in self.prefix.items()}
        exact = {path: self._least(path, number) for path, number in self.exact.items()}
        return exact, prefix

    def _least(self, path: str, number: int) -> int:
        ends = [index for index, character in enumerate(path) if character == "/"]
        above = (path[:end] for end in (*ends, len(path)))
        return min(number, *(self.prefix.get(each, number) for each in above))


def is_plain(match: ir.RouteMatch) -> bool:
    """Whether a table can say who takes it."""
    literal = match.path.kind is not ir.PathMatchKind.REGEX
    return literal and not (match.methods or match.headers or match.queries)


def paths_of(numbered: Iterator[tuple[int, ir.Route]]) -> Paths | None:
    """The tables of one host, if they are worth it."""
    found = Paths()
    for number, route in numbered:
        if is_plain(route.match):
            exact = route.match.path.kind is ir.PathMatchKind.EXACT
            table = found.exact if exact else found.prefix
            table.setdefault(route.match.path.value if exact else route.match.path.value.rstrip("/"), number)
    return found if len(found.exact) + len(found.prefix) >= FEWEST else None


class Tables(Struct, frozen=True):
    """What a listener looks up, and the files that it looks in."""

    lookup: Lookup
    files: Mapping[str, bytes]


def tables(
    listener: str, hosts: Mapping[str, Paths], targets: Mapping[int, int], made: tuple[RouteTarget, ...]
) -> Tables:
    """``targets`` by the numbers of routes; of ``made``, what needs no line of its own comes from tables too."""
    files: dict[str, bytes] = {}

    def file(what: str, rows: Mapping[str, object]) -> Token:
        name = f"{listener}.{what}.map".replace(":", ".")
        files[name] = "".join(f"{key} {value}\n" for key, value in sorted(rows.items())).encode()
        return quoting.word(name)

    of_hosts = []
    for number, (host, paths) in enumerate(hosts.items(), start=1):
        exact, prefix = paths.first_numbers()
        segments = {f"{path}/": first for path, first in prefix.items()}
        of_hosts.append(
            PathTable(quoting.word(host), file(f"{number}.exact", exact), file(f"{number}.prefix", segments))
        )
    shares = {str(each.number): each.shares[0].backend for each in made if each.is_plain}
    names = {str(each.number): each.name for each in made if each.is_plain}
    lookup = Lookup(
        tuple(of_hosts),
        targets=file("targets", {str(number): target for number, target in targets.items()}),
        routes=file("routes", names),
        backends=file("backends", shares),
    )
    return Tables(lookup, files)
