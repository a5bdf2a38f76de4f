"""More than one hop of a path that repeats what an application has seen, in time linear in the calls.

What comes back up from a hop that has given up is an answer, on which the next hop that retries begins anew. From
every retrying call the search goes down the calls in all directions at once, so that each service is told the
nearest retrying hop above it. Cycles with retries are `retry-amplification`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshctl.diagnostics import Related
from meshctl.lint.checks.base import Check, Violation, path_text
from meshctl.lint.checks.retry_amplification import tries
from meshctl.lint.facts import CallFacts, Value, World, place


def check(world: World, params: Mapping[str, Value]) -> Iterator[Violation]:
    """Calls that retry below another call that does."""
    above, came_from = _nearest(world)
    for call in world.calls:
        first = above.get(call.caller)
        if tries(call) == 1 or first is None or first is call:
            continue
        path = [call.callee, call.caller]
        while path[-1] != first.callee:
            path.append(came_from[path[-1]])
        hops = (first, call)
        yield Violation(
            at=place(call),
            values={
                "path": path_text([first.caller, *reversed(path)]),
                "upper": f"{first.caller} → {first.callee}",
                "lower": f"{call.caller} → {call.callee}",
                "number": tries(first) * tries(call),
            },
            related=tuple(
                Related(at, f"{hop.caller} → {hop.callee}: {tries(hop)} tries")
                for hop in hops
                if (at := hop.retries_at or place(hop)) is not None
            ),
        )


def _nearest(world: World) -> tuple[dict[str, CallFacts], dict[str, str]]:
    """The nearest retrying call above each service, and the service before it on the way from there."""
    made: dict[str, list[str]] = {}
    for call in world.calls:
        made.setdefault(call.caller, []).append(call.callee)
    above: dict[str, CallFacts] = {}
    came_from: dict[str, str] = {}
    front: list[str] = []
    for call in world.calls:
        if tries(call) > 1 and call.callee not in above:
            above[call.callee] = call
            front.append(call.callee)
    while front:
        following = []
        for name in front:
            for callee in made.get(name, ()):
                if callee not in above:
                    above[callee] = above[name]
                    came_from[callee] = name
                    following.append(callee)
        front = following
    return above, came_from


CHECK = Check(check, {}, ("path", "upper", "lower", "number"))
