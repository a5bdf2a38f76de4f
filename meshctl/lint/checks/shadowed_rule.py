"""Rules that let nobody in, because rules that deny take all of it: exact, by a search for a request that is left.

For each group of callers that the same rules deny something. Of tokens a deny rule counts only where the rule that
allows asks for the same one. What costs more than the effort for one mesh is told as not found out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from meshctl.diagnostics import Related, Severity
from meshctl.lint.checks.base import Check, Violation
from meshctl.lint.checks.rules import MOST, Rule, by_service, denied, run
from meshctl.lint.facts import Value, World, place
from meshctl.lint.literals import shown
from meshctl.lint.requests import Effort, Search, UndecidedError

_SHOWN = 3


def check(world: World, params: Mapping[str, Value]) -> Iterator[Violation]:
    """Each rule that allows nothing, to all of its callers or to some."""
    left = Effort(MOST)
    for allow, deny in by_service(world):
        for rule in allow:
            yield from _shadowed(rule, deny, left)


def _shadowed(rule: Rule, deny: Sequence[Rule], left: Effort) -> Iterator[Violation]:
    nothing: list[str] = []
    because: dict[int, Rule] = {}
    facts = rule.facts
    try:
        for callers, rules in denied(rule, deny, left):
            cover = _cover(rule, rules, left)
            if cover:
                nothing += callers
                because |= {id(each): each for each in cover}
    except UndecidedError as error:
        how = f"whether this rule lets anybody in was not found out: {error}"
        yield Violation(place(facts), {"service": facts.service, "how": how}, severity=Severity.INFO)
        return
    if nothing:
        yield Violation(
            place(facts),
            {"service": facts.service, "how": _how(rule, nothing)},
            related=tuple(
                Related(at, "this is denied")
                for each in list(because.values())[:_SHOWN]
                if (at := place(each.facts)) is not None
            ),
        )


def _how(rule: Rule, nothing: Sequence[str]) -> str:
    callers = shown(tuple(nothing))
    if not rule.facts.written:
        return f"{callers} would be let in, but all that they can ask is denied"
    if len(nothing) == len(rule.facts.callers):
        return "this rule lets nobody in, for all that it allows is denied"
    return f"this rule does nothing for {callers}, for all that it allows them is denied"


def _cover(rule: Rule, deny: Sequence[Rule], left: Effort) -> list[Rule]:
    """The rules that deny everything; none where a request is left, or none is canonical in the first place."""
    avoided = [(one, each) for each in deny for one in each.asked]
    found: dict[int, Rule] = {}
    for wanted in rule.asked if deny else ():
        search = Search([wanted], [one for one, _ in avoided])
        if run(search, left) is not None:
            return []
        found |= {number: avoided[number][1] for number in search.in_the_way}
    return list(found.values())


CHECK = Check(check, {}, ("service", "how"))
