"""Who can reach whom: what callers may do to callees, and the ways that lead there.

Lint and diff are told of it in these words; :mod:`meshctl.simulate.reachability` finds it out. Faults, limits and
missing endpoints are no protection, for they come and go: a caller that only they keep out does reach.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from enum import StrEnum

from msgspec import Struct, field

from meshctl.diagnostics import Position
from meshctl.ir.authorization import AuthorizationRule


class Ground(StrEnum):
    """Why a caller is let in. DECLARED and OPEN: by the mode of authorization alone, no rule was written.

    HEALTH: for health checks only. AUDIT: nothing lets it in, but ``audit`` only notes that. OUTSIDE: an external,
    where nobody of ours is asked. EGRESS: an external that is not listed, as any host of the world.
    """

    RULE = "rule"
    DECLARED = "declared"
    OPEN = "open"
    HEALTH = "health"
    AUDIT = "audit"
    OUTSIDE = "outside"
    EGRESS = "egress"


class Example(Struct, frozen=True):
    """A request that comes through. A token among ``headers`` says the right things; nobody has signed it."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()


class Permission(Struct, frozen=True):
    """One reason why ``caller`` reaches ``callee``, and the route of its sidecar that leads there."""

    caller: str
    callee: str
    ground: Ground
    rule: AuthorizationRule | None = None
    """Its conditions; None where there are none."""
    via: str = ""
    """The service, gateway or external whose route it is; empty of streams, and of what no route leads to."""
    route: str = ""
    copy: bool = False
    """Whether only copies of requests (a mirror) come there."""
    example: Example | None = None
    """None of a stream; else where none was found, because regular expressions decide: then it may be so."""
    stream: bool = False
    at: Position | None = None
    path: tuple[str, ...] = ()
    """The part of the spec that permits it, where the model does not know its place."""

    @property
    def proved(self) -> bool:
        """Whether a request is known that comes through."""
        return self.stream or self.example is not None


class Unpermitted(Struct, frozen=True):
    """A call that a caller can make, and nothing lets it in."""

    caller: str
    callee: str
    at: Position | None = None
    path: tuple[str, ...] = ()


class Door(StrEnum):
    """How somebody without a certificate gets in."""

    GATEWAY = "gateway"
    PLAINTEXT = "plaintext"
    HEALTH = "health"


class Entrance(Struct, frozen=True):
    """A listener for everybody who can reach its addresses. ``permissions`` of a PLAINTEXT one: the rules about them."""

    door: Door
    binds: tuple[str, ...]
    permissions: tuple[Permission, ...] = ()
    at: Position | None = None
    path: tuple[str, ...] = ()


Way = tuple[str, ...]
"""Names from the one who begins to the one who is reached, each of whom calls the next."""


class Reachability(Struct, frozen=True):
    """All that is let in, by callee and caller.

    A way of several calls says that the first caller can make the next one call on, not that it does: what an
    application makes of a request, no sidecar knows.
    """

    permissions: Mapping[str, Mapping[str, tuple[Permission, ...]]]
    unpermitted: Mapping[str, tuple[Unpermitted, ...]] = field(default_factory=dict)
    """By callee."""
    uncalled: Mapping[str, tuple[Permission, ...]] = field(default_factory=dict)
    """By callee: what a caller would be let in for, past its own sidecar, by rules that none of its calls leads to."""
    entrances: Mapping[str, tuple[Entrance, ...]] = field(default_factory=dict)
    """By service or gateway."""

    def callers(self, callee: str) -> tuple[str, ...]:
        """Who reaches it by a call of its own, sorted."""
        return tuple(sorted(self.permissions.get(callee, {})))

    def ways(self, callee: str) -> tuple[Way, ...]:
        """The shortest way of each that reaches it; shorter ones first, then by the names on them."""
        found: dict[str, Way] = {callee: (callee,)}
        left = deque([callee])
        while left:
            reached = left.popleft()
            for caller in self.callers(reached):
                if caller not in found:
                    found[caller] = (caller, *found[reached])
                    left.append(caller)
        del found[callee]
        return tuple(sorted(found.values(), key=_by_length))

    def all_ways(self, callee: str, most: int) -> tuple[tuple[Way, ...], bool]:
        """Every way without a circle, shorter ones first; and whether there are more than ``most``."""
        found: list[Way] = []
        for way in self._longer(callee):
            if len(found) == most:
                return tuple(sorted(found, key=_by_length)), True
            found.append(way)
        return tuple(sorted(found, key=_by_length)), False

    def _longer(self, callee: str) -> Iterator[Way]:
        left: deque[Way] = deque([(callee,)])
        while left:
            way = left.popleft()
            for caller in self.callers(way[0]):
                if caller not in way:
                    yield (caller, *way)
                    left.append((caller, *way))


def _by_length(way: Way) -> tuple[int, Way]:
    return len(way), way
