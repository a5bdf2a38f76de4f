"""Services that need each other in a circle: the strongly connected parts of the call graph (Tarjan 1972)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshctl.lint.checks.base import Check, Violation, path_text
from meshctl.lint.checks.graph import components, shortest_cycle
from meshctl.lint.facts import Value, World, place
from meshctl.lint.literals import shown


def check(world: World, params: Mapping[str, Value]) -> Iterator[Violation]:
    """A shortest circle of each part, and how many services the part has."""
    calls = {(each.caller, each.callee): each for each in world.calls}
    successors: dict[str, list[str]] = {name: [] for name in world.services}
    for caller, callee in calls:
        successors.setdefault(caller, []).append(callee)
        successors.setdefault(callee, [])
    for part in components(successors):
        cycle = shortest_cycle(successors, min(part), set(part))
        if cycle:
            others = tuple(sorted(set(part) - set(cycle)))
            also = f", and with them {shown(others)}" if others else ""
            yield Violation(
                at=place(calls[cycle[0], cycle[1]]),
                values={"path": path_text(cycle) + also, "services": len(part)},
            )


CHECK = Check(check, {}, ("path", "services"))
