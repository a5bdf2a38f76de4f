"""Which rules of a callee are about one caller, and what they let in."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from meshctl.ir import AuthorizationRule, InboundListener, MtlsMode
from meshctl.ir.authorization import UNAUTHENTICATED
from meshctl.simulate.examples import Found, Lead, search

_Indices = tuple[int, ...]


class LetIn(Struct, frozen=True):
    """A rule and a way through that it lets in; ``exempt``: for health checks."""

    rule: AuthorizationRule
    exempt: bool
    found: Found


class Concerned:
    """The rules of one callee, sorted by whom they are about. For callers with the same rules and routes all is the same."""

    def __init__(self, listener: InboundListener) -> None:
        self.listener = listener
        its = listener.authorization
        self._groups = (its.exempt, its.deny, its.rules)
        self._names = [
            [frozenset(one.service for one in each.principals) for each in group] for group in self._groups
        ]
        self._known: dict[object, tuple[LetIn, ...]] = {}

    def let_in(self, caller: str, leads: tuple[Lead, ...]) -> tuple[LetIn, ...]:
        """What ``caller`` (or who stands for many) is let in for, on the way of ``leads``; each rule once."""
        concerned = self._about(caller)
        key = (concerned, tuple(dict.fromkeys(id(each.host) for each in leads)))
        if key not in self._known:
            self._known[key] = self._found(concerned, leads)
        return self._known[key]

    def lets_streams_in(self, caller: str) -> AuthorizationRule | None:
        """The rule by which a connection is let in: of those on a TCP listener nothing but callers is asked."""
        _, deny, rules = self._about(caller)
        return self.listener.authorization.rules[rules[0]] if rules and not deny else None

    def about(
        self, caller: str
    ) -> tuple[tuple[AuthorizationRule, ...], tuple[AuthorizationRule, ...], tuple[AuthorizationRule, ...]]:
        """The rules about a caller: exempt, deny, allow."""
        exempt, deny, rules = (
            tuple(group[index] for index in indices)
            for group, indices in zip(self._groups, self._about(caller), strict=True)
        )
        return exempt, deny, rules

    def _about(self, caller: str) -> tuple[_Indices, _Indices, _Indices]:
        unknown = caller == UNAUTHENTICATED or self.listener.mtls is MtlsMode.DISABLED
        exempt, deny, rules = (
            tuple(
                index
                for index, each in enumerate(group)
                if (each.unauthenticated if unknown else each.anyone or caller in names[index])
            )
            for group, names in zip(self._groups, self._names, strict=True)
        )
        return exempt, deny, rules

    def _found(
        self, concerned: tuple[_Indices, _Indices, _Indices], leads: tuple[Lead, ...]
    ) -> tuple[LetIn, ...]:
        exempt, deny, rules = (
            [group[index] for index in indices]
            for group, indices in zip(self._groups, concerned, strict=True)
        )
        its = replace(self.listener.authorization, deny=tuple(map(for_everybody, deny)))
        denying = replace(self.listener, authorization=its)
        sparing = replace(self.listener, authorization=replace(its, deny=()))
        return tuple(
            LetIn(rule, is_exempt, found)
            for is_exempt, listener, group in ((False, denying, rules), (True, sparing, exempt))
            for rule in group
            if (found := search(leads, listener, for_everybody(rule))) is not None
        )


def for_everybody(rule: AuthorizationRule) -> AuthorizationRule:
    """The same conditions, whoever asks."""
    return replace(rule, principals=(), anyone=True, unauthenticated=True)
