"""What a rule of authorization asks of a request, and which rules are about the same callers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from msgspec import Struct
from msgspec.structs import replace

from meshctl.ir.authorization import UNAUTHENTICATED
from meshctl.lint.facts import MatchFacts, RuleFacts, World
from meshctl.lint.requests import Conditions, Effort, Request, Search, conditions
from meshctl.spec.authorization import ANYONE

MOST = 1_000_000
"""The effort for one mesh."""


class Rule(Struct, frozen=True):
    """A rule and its conditions, once for each of its paths: any one of them will do."""

    facts: RuleFacts
    asked: tuple[Conditions, ...]
    callers: frozenset[str]


Group = tuple[tuple[str, ...], tuple[Rule, ...]]
"""Callers, and the deny rules that are about them all."""


def by_service(world: World) -> Iterator[tuple[list[Rule], list[Rule]]]:
    """The rules that allow and those that deny, of each service."""
    for _, rules in groupby(world.rules, key=lambda each: each.service):
        allow: list[Rule] = []
        deny: list[Rule] = []
        for each in rules:
            (allow if each.effect == "allow" else deny).append(read(each))
        yield allow, deny


def read(facts: RuleFacts) -> Rule:
    """A rule with its conditions."""
    match = MatchFacts(methods=facts.methods, headers=facts.headers)
    paths = facts.paths or ("prefix /",)
    asked = tuple(conditions(replace(match, path=path)) for path in paths)
    return Rule(facts, asked, frozenset(facts.callers))


def denied(rule: Rule, deny: Sequence[Rule], left: Effort) -> list[Group]:
    """The callers of a rule, those together whom the same rules deny something.

    Raises UndecidedError when the effort that is ``left`` is spent.
    """
    # A request of a rule that asks for a token has just what that asks for, and so no claim besides.
    holding = [each for each in deny if not each.facts.jwt or _implied(each.facts, rule.facts)]
    groups: dict[tuple[int, ...], list[str]] = {}
    for caller in rule.facts.callers:
        left.spend(len(holding))
        numbers = tuple(number for number, each in enumerate(holding) if about(each, caller))
        groups.setdefault(numbers, []).append(caller)
    return [
        (tuple(callers), tuple(holding[number] for number in numbers)) for numbers, callers in groups.items()
    ]


def about(rule: Rule, caller: str) -> bool:
    """Whether a rule is about a caller, who may be everybody (`*`)."""
    return caller in rule.callers or (caller != UNAUTHENTICATED and ANYONE in rule.callers)


def _implied(deny: RuleFacts, rule: RuleFacts) -> bool:
    return deny.jwt == rule.jwt and deny.claims.items() <= rule.claims.items()


def run(search: Search, left: Effort) -> Request | None:
    """What the search finds, at the cost of the effort that is ``left`` for the mesh too.

    Raises UndecidedError when that, or its own, is spent.
    """
    search.effort = Effort(whole=left)
    return search.run()
