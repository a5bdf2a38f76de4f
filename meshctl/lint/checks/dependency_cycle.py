"""Services that need each other in a circle: the strongly connected parts of the call graph (Tarjan 1972)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshctl.lint.checks.base import Check, Violation, path_text
from meshctl.lint.checks.graph import components, shortest_path
from meshctl.lint.facts import Value, World, place


def check(world: World, params: Mapping[str, Value]) -> Iterator[Violation]:
    """A shortest circle of each part, and how many services the part has."""
    calls = {(each.caller, each.callee): each for each in world.calls}
    successors: dict[str, list[str]] = {name: [] for name in world.services}
    for caller, callee in calls:
        successors.setdefault(caller, []).append(callee)
        successors.setdefault(callee, [])
    for part in components(successors):
        first = min(part)
        inside = set(part)
        onward = [each for each in successors[first] if each in inside]
        if not onward:
            continue
        back = min((shortest_path(successors, each, first, inside) for each in onward), key=len)
        yield Violation(
            at=place(calls[first, back[0]]),
            values={"path": path_text([first, *back]), "services": len(part)},
        )


CHECK = Check(check, {}, ("path", "services"))
