"""A service that waits for its callee longer than its own callers wait for it works for nobody.

The budget that is left to a service is the smallest timeout on the way to it, over all paths: the calls are
taken in order of what is left (Dijkstra 1959, with the minimum in place of the sum), so the time is that of
sorting the calls, cycles or not. Only the first inversion of a path is told; those below follow from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from heapq import heappop, heappush

from meshctl.diagnostics import Related
from meshctl.lint.checks.base import Check, Violation, path_text
from meshctl.lint.collect import patience
from meshctl.lint.facts import CallFacts, Value, World, place
from meshctl.lint.literals import shown

UNLIMITED = timedelta.max


def check(world: World, params: Mapping[str, Value]) -> Iterator[Violation]:
    """Calls that may take longer than what is left to the service that makes them."""
    left, came_from = _budgets(world)
    for call in world.calls:
        budget = left.get(call.caller, UNLIMITED)
        if call.protocol == "tcp" or patience(call.timeout) <= budget:
            continue
        before = came_from[call.caller]
        if patience(before.timeout) > left.get(before.caller, UNLIMITED):
            continue
        # Nothing above leaves less than the last call, else that call would be the one to tell.
        at = before.timeout_at or place(before)
        waits = f"{before.caller} waits {shown(before.timeout)} for {before.callee}"
        yield Violation(
            at=place(call, "timeout"),
            values={
                "caller": call.caller,
                "callee": call.callee,
                "timeout": call.timeout or "no limit",
                "left": budget,
                "path": path_text([before.caller, call.caller, call.callee]),
            },
            related=(Related(at, waits),) if at is not None else (),
        )


def _budgets(world: World) -> tuple[dict[str, timedelta], dict[str, CallFacts]]:
    """The least time that is left to each service that has callers, and the last call of the way there."""
    made: dict[str, list[CallFacts]] = {}
    for call in world.calls:
        made.setdefault(call.caller, []).append(call)
    # A path may begin anywhere, so every call is a beginning.
    queue = [(patience(call.timeout), number) for number, call in enumerate(world.calls)]
    queue.sort()
    numbers = {id(call): number for number, call in enumerate(world.calls)}
    left: dict[str, timedelta] = {}
    came_from: dict[str, CallFacts] = {}
    while queue:
        budget, number = heappop(queue)
        call = world.calls[number]
        if budget >= left.get(call.callee, UNLIMITED):
            continue
        left[call.callee] = budget
        came_from[call.callee] = call
        for following in made.get(call.callee, ()):
            if budget < patience(following.timeout):
                heappush(queue, (budget, numbers[id(following)]))
    return left, came_from


CHECK = Check(check, {}, ("caller", "callee", "timeout", "left", "path"))
