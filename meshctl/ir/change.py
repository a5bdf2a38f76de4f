"""What a change of a mesh touches, whom it lets in, and what of it cannot be deployed in any order.

:mod:`meshctl.simulate.reach_change` and :mod:`meshctl.diff.touched` find it out; lint and the commands are told.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from meshctl.ir.authorization import UNAUTHENTICATED
from meshctl.ir.reachability import Ground, Permission, Way

ANYBODY = "*"
"""Among callers: an identity of the mesh that no rule names. Among callees: any host of the world."""


class Opened(Struct, frozen=True):
    """Somebody is let in who was not before: at all, or for what the example shows."""

    permission: Permission
    more: bool = False
    """Whether the caller was let in before, for less."""
    called: bool = True
    """Whether a call of the caller's own leads there; else only past his own sidecar."""

    @property
    def caller(self) -> str:
        """A service or gateway, ``unauthenticated``, or :data:`ANYBODY`."""
        return self.permission.caller

    @property
    def callee(self) -> str:
        """A service or external, or :data:`ANYBODY`."""
        return self.permission.callee

    @property
    def words(self) -> str:
        """The fact in a sentence, with the request that shows it."""
        return f"{self._fact}{_shown(self.permission)}"

    @property
    def _fact(self) -> str:
        caller, callee = _named(self.caller), f"`{self.callee}`"
        if self.callee == ANYBODY:
            return f"{caller} may now call any host of the world"
        if self.permission.ground is Ground.AUDIT and self.caller == ANYBODY:
            return f"nobody is kept out of {callee} any more, for `audit` only takes note"
        if self.more:
            return f"{caller} may now do more at {callee}"
        if self.called:
            return f"{caller} now reaches {callee}"
        past = "" if self.caller in (ANYBODY, UNAUTHENTICATED) else ", though no call of its own leads there"
        return f"{caller} is now let into {callee}{past}"


class Narrowed(Struct, frozen=True):
    """A caller still reaches a callee, which refuses some of what it let him do."""

    permission: Permission
    """Of before, with what is refused now as its example."""

    @property
    def pair(self) -> tuple[str, str]:
        """Caller and callee."""
        return self.permission.caller, self.permission.callee

    @property
    def words(self) -> str:
        """The fact in a sentence, with a request that is refused."""
        caller, callee = self.pair
        return f"{_named(caller)} may now do less at `{callee}`{_shown(self.permission, 'no more ')}"


def _named(caller: str) -> str:
    if caller == ANYBODY:
        return "any identity of the mesh"
    return "whoever has no certificate" if caller == UNAUTHENTICATED else f"`{caller}`"


def _shown(permission: Permission, how: str = "") -> str:
    example = permission.example
    if example is not None:
        # Nobody reads a token, whether the rule asks for it or a `deny` that is taken back did.
        bearer = [each for each in example.headers if _is_token(*each)]
        lines = [f"{name}: {value}" for name, value in example.headers if (name, value) not in bearer]
        shown = f" with {', '.join(lines)}" if lines else ""
        return f", such as {how}{example.method} {example.url}{shown}{' and a token' if bearer else ''}"
    if permission.proved or permission.ground in (Ground.EGRESS, Ground.AUDIT):
        return ""
    return ", perhaps: regular expressions decide"


def _is_token(name: str, value: str) -> bool:
    return name == "authorization" and value.lower().startswith("bearer ")


class NewWay(Struct, frozen=True):
    """Somebody can reach another by a chain of calls, and could not before. What the applications on it hand on, they decide."""

    names: Way
    pair: tuple[str, str]
    """Caller and callee of the call on it that is new."""
    because: str
    """What permits that call now, in words."""

    @property
    def words(self) -> str:
        """The fact in a sentence."""
        way = " -> ".join(self.names)
        return f"`{self.names[0]}` can now reach `{self.names[-1]}`, by {way}, because {self.because}"


class Effect(StrEnum):
    """What may follow from a change, beyond what the changed thing itself does."""

    GIVES_UP_FIRST = "gives-up-first"
    """A caller now waits for less long than its callee does for another."""
    WAITS_LONG_ENOUGH = "waits-long-enough"
    """It did, and does no more."""
    REROUTED = "rerouted"
    """The requests of a route that is gone go by another one, or are answered 404."""
    REISSUED = "reissued"
    """Certificates no longer hold the right names, and have to be issued anew."""
    ISSUED = "issued"
    """Bundles are new and need a certificate."""
    LIFETIME = "lifetime"
    """Certificates that are issued from now on live for another time, or are renewed at another."""


class Consequence(Struct, frozen=True):
    """What follows from a change, in a sentence."""

    effect: Effect
    services: tuple[str, ...]
    text: str

    @property
    def needs_attention(self) -> bool:
        """Whether somebody has to do something about it, or should not have caused it."""
        return self.effect in (Effect.GIVES_UP_FIRST, Effect.REROUTED, Effect.REISSUED)


class Ordered(Struct, frozen=True):
    """Both sides of calls change so that old and new sidecars do not get on in every order."""

    what: str
    """What changes, in words."""
    callees: tuple[str, ...]
    """Empty: all of the mesh."""
    callers: tuple[str, ...]
    """Those of them, sorted; empty where that is everybody who calls."""
    steps: tuple[str, ...]
    """The safe order in words, the first step first."""


class MeshChange(Struct, frozen=True):
    """What becomes of one mesh when it is deployed in place of another."""

    sidecars: tuple[str, ...] = ()
    """The bundles whose files change, come or go: a service, or `service/instance`."""
    routes: tuple[str, ...] = ()
    """`service/route` of each route that some caller sees changed, come or gone."""
    callers: tuple[str, ...] = ()
    """Services and gateways, there before and after, whose own requests go another way or are refused newly, or may."""
    services_added: tuple[str, ...] = ()
    services_removed: tuple[str, ...] = ()
    opened: tuple[Opened, ...] = ()
    closed: tuple[tuple[str, str], ...] = ()
    """Caller and callee of each pair that could make a call, and cannot any more."""
    ordered: tuple[Ordered, ...] = ()
    narrowed: tuple[Narrowed, ...] = ()
    """Of pairs that can still make a call, those who are refused more; sorted by callee and caller."""

    @property
    def newly_called(self) -> frozenset[tuple[str, str]]:
        """Caller and callee of each pair that can make a call, and could not before."""
        found = (each for each in self.opened if each.called and not each.more)
        return frozenset(
            (each.caller, each.callee) for each in found if ANYBODY not in (each.caller, each.callee)
        )
