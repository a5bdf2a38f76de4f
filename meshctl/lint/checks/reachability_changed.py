"""Who is let in newly: the answer of `who-can-reach` before and after a change, compared by requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshctl.diagnostics import Position, Related, Severity
from meshctl.ir.change import ANYBODY, Opened
from meshctl.lint.checks.base import Check, Violation
from meshctl.lint.facts import ChangeFacts, Value, World, place
from meshctl.lint.literals import shown

_MOST = 100
"""So many are told each by itself."""


def check(world: World, params: Mapping[str, Value]) -> Iterator[Violation]:
    """One for each caller and callee, in the part of the spec that is the callee's; what is closed is a remark."""
    change = world.change
    if change is None or change.made is None:
        return
    opened = change.made.opened
    for each in opened[:_MOST]:
        yield Violation(
            at=_place(each, change),
            values={"how": each.words},
            related=tuple(_call(each, change)),
            caller=each.caller,
        )
    if opened[_MOST:]:
        how = f"more than {_MOST} callers are let in newly: {shown(change.opened[_MOST:])}"
        yield Violation(at=place(change), values={"how": how})
    if change.closed:
        how = f"calls that can be made no more: {shown(change.closed)}"
        yield Violation(at=place(change), values={"how": how}, severity=Severity.INFO)


def _place(each: Opened, change: ChangeFacts) -> Position | None:
    if each.permission.at is not None:
        return each.permission.at
    if each.callee == ANYBODY:
        return place(change, "egress")
    return change.places[each.callee].here if each.callee in change.places else place(change)


def _call(each: Opened, change: ChangeFacts) -> Iterator[Related]:
    caller = change.places.get(each.caller)
    calls = caller["calls"] if caller is not None else None
    at = calls.at(each.callee) if calls is not None and each.callee in calls else None
    if at is not None:
        yield Related(at, "the call")


CHECK = Check(check, {}, ("how",), about_change=True)
