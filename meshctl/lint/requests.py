"""A request that some matches take and others do not, or the proof that there is none.

The search begins with the simplest request that is wanted. Where an unwanted match takes it, one condition of that
match after the other is denied, and the simplest request that is left tried again: the answer is exact, and only
matches that really stand in the way cost anything. Conditions on the path, the method, each header and each query
parameter are independent of each other; those on one of them are decided by automata.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field

from meshctl.lint.automata import Effort, UndecidedError
from meshctl.lint.conditions import Condition, Conditions, conditions, values_at

_NOT_FREE = frozenset(
    f"header {name}"
    for name in (
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "upgrade",
        "te",
        "expect",
        "trailer",
    )
)
"""Headers that a client cannot say what it likes in."""


class Request(Struct, frozen=True):
    """A request as far as matches look at it."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()

    @property
    def target(self) -> str:
        """Path and query."""
        query = "&".join(f"{name}={value}" for name, value in self.query)
        return f"{self.path}?{query}" if query else self.path

    def __str__(self) -> str:
        headers = " and ".join(f"`{name}: {value}`" for name, value in self.headers)
        return f"`{self.method} {self.target}`" + (f" with {headers}" if headers else "")

    def fulfils(self, condition: Condition) -> bool:
        """Whether a condition holds: for a header, of any of its lines."""
        what, _, name = condition.place.partition(" ")
        match what:
            case "path":
                return condition.takes(self.path)
            case "method":
                return condition.takes(self.method)
            case "header":
                return any(condition.takes(value) for each, value in self.headers if each == name)
            case _:
                return any(condition.takes(value) for each, value in self.query if each == name)


class Search(Struct):
    """The search for a request that all of ``wanted`` take, and none of ``avoided``."""

    wanted: Sequence[Conditions]
    avoided: Sequence[Conditions]
    in_the_way: dict[int, None] = field(default_factory=dict)
    """Those of ``avoided`` that took a request that was tried: together they are the proof where there is none."""
    effort: Effort = field(default_factory=Effort)
    _known: dict[tuple[str, Conditions], list[str] | None] = field(default_factory=dict)

    def run(self) -> Request | None:
        """A request, or None where there is none. Raises UndecidedError where that takes too long."""
        asked = [each for match in self.wanted for each in match]
        special = {each.place for match in (*self.wanted, *self.avoided) for each in match} & _NOT_FREE
        if special:
            raise UndecidedError(f"{min(special)} is not the client's to choose")
        return self._solve(tuple(dict.fromkeys(asked)), ())

    def _solve(self, asked: Conditions, denied: Conditions) -> Request | None:
        self.effort.spend(10 + len(self.avoided))
        request = self._request(asked, denied)
        if request is None:
            return None
        hit = next(
            (number for number, match in enumerate(self.avoided) if all(map(request.fulfils, match))), None
        )
        if hit is None:
            return request
        self.in_the_way[hit] = None
        for condition in self.avoided[hit]:
            if condition in asked:
                continue
            found = self._solve(asked, (*denied, condition))
            if found is not None:
                return found
        return None

    def _request(self, asked: Conditions, denied: Conditions) -> Request | None:
        """The simplest request with all of ``asked`` and nothing of ``denied``."""
        places = dict.fromkeys(("path", "method", *(each.place for each in asked)))
        found: dict[str, list[str]] = {}
        for place in places:
            wanted = tuple(each for each in asked if each.place == place)
            unwanted = tuple(each for each in denied if each.place == place)
            key = (place, (*wanted, *unwanted))
            if key not in self._known:
                self._known[key] = values_at(place, wanted, unwanted, self.effort)
            values = self._known[key]
            if values is None:
                return None
            found[place] = values
        return Request(
            found["method"][0],
            found["path"][0],
            tuple(
                (each.partition(" ")[2], one)
                for each, ones in found.items()
                if each.startswith("header ")
                for one in ones
            ),
            tuple(
                (each.partition(" ")[2], ones[0]) for each, ones in found.items() if each.startswith("query ")
            ),
        )


def free(asked: Conditions) -> Conditions:
    """Those that a client can fulfil, or not, as it likes: a request that fulfils all others may do so too."""
    return tuple(each for each in asked if each.place not in _NOT_FREE)


__all__ = ["Conditions", "Effort", "Request", "Search", "UndecidedError", "conditions", "free"]
