"""What changes on both sides of calls, and the order that is safe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshctl.lint.checks.base import Check, Violation
from meshctl.lint.facts import Value, World, place
from meshctl.lint.literals import shown

_MOST = 100
_LONGEST = 400
"""Characters of a step: who needs all the names has them from `meshctl diff`."""


def check(world: World, params: Mapping[str, Value]) -> Iterator[Violation]:
    """One for each kind of change and callee."""
    change = world.change
    if change is None or change.made is None:
        return
    for each in change.made.ordered[:_MOST]:
        known = [change.places[name] for name in each.callees if name in change.places]
        steps = (f"{number}. {_short(step)}" for number, step in enumerate(each.steps, start=1))
        callers = f", with {shown(each.callers)} as callers" if each.callers else ""
        yield Violation(
            at=known[0].here if len(known) == len(each.callees) == 1 else place(change),
            values={"what": _short(each.what), "callers": callers, "order": " ".join(steps)},
        )
    if change.made.ordered[_MOST:]:
        what = f"more than {_MOST} things, {shown(change.ordered[_MOST:])} among them"
        values = {"what": what, "callers": "", "order": "1. make several changes of this one"}
        yield Violation(at=place(change), values=values)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… (`meshctl diff` tells all)"


CHECK = Check(check, {}, ("what", "callers", "order"), about_change=True)
