"""More than one hop of a path that repeats what an application has seen, in time linear in the calls.

What comes back up from a hop that has given up is an answer, on which the next hop that retries begins anew. From
every retrying call the search goes down the calls in all directions at once, so that each service is told the
nearest retrying hop above it. Services that need each other in a circle are all below each other: one such call is
told for all calls among them. No more than :data:`MOST` are told, and the last says how many are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from meshctl.diagnostics import Related
from meshctl.lint.checks.base import Check, Violation, path_text
from meshctl.lint.checks.graph import components
from meshctl.lint.checks.retry_amplification import tries
from meshctl.lint.facts import CallFacts, Value, World, place
from meshctl.lint.literals import listed

MOST = 100
"""Calls of one mesh that are told."""


def check(world: World, params: Mapping[str, Value]) -> Iterator[Violation]:
    """Calls that retry below another call that does."""
    made = _made(world)
    above, came_from = _nearest(world, made)
    lower = [call for call in world.calls if tries(call) > 1 and above.get(call.caller, call) is not call]
    chains = _chains(lower, made)
    for number, (call, *alike) in enumerate(chains[:MOST], 1):
        does = "does 1 more call" if len(alike) == 1 else f"do {len(alike)} more calls"
        which = listed(sorted(f"{each.caller} → {each.callee}" for each in alike), 5)
        more = f", and so {does} among these services: {which}" if alike else ""
        if number == MOST < len(chains):
            more += f"; {len(chains) - MOST} more such calls are not told"
        violation = _violation(above[call.caller], call, came_from)
        yield replace(violation, values={**violation.values, "more": more})


def _chains(lower: list[CallFacts], made: Mapping[str, list[str]]) -> list[list[CallFacts]]:
    """Each call alone, but those among services that need each other together."""
    part_of = {name: number for number, part in enumerate(components(made)) for name in part}
    chains: dict[object, list[CallFacts]] = {}
    for call in lower:
        part = part_of[call.caller]
        inside = part == part_of[call.callee]
        chains.setdefault(part if inside else (call.caller, call.callee), []).append(call)
    return list(chains.values())


def _violation(first: CallFacts, call: CallFacts, came_from: Mapping[str, str]) -> Violation:
    path = [call.callee, call.caller]
    while path[-1] != first.callee:
        path.append(came_from[path[-1]])
    return Violation(
        at=place(call),
        values={
            "path": path_text([first.caller, *reversed(path)]),
            "upper": f"{first.caller} → {first.callee}",
            "lower": f"{call.caller} → {call.callee}",
            "number": tries(first) * tries(call),
        },
        related=tuple(
            Related(at, f"{hop.caller} → {hop.callee}: {tries(hop)} tries")
            for hop in (first, call)
            if (at := hop.retries_at or place(hop)) is not None
        ),
    )


def _made(world: World) -> dict[str, list[str]]:
    """Whom each service calls."""
    made: dict[str, list[str]] = {}
    for call in world.calls:
        made.setdefault(call.caller, []).append(call.callee)
        made.setdefault(call.callee, [])
    return made


def _nearest(world: World, made: Mapping[str, list[str]]) -> tuple[dict[str, CallFacts], dict[str, str]]:
    """The nearest retrying call above each service, and the service before it on the way from there."""
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
            for callee in made[name]:
                if callee not in above:
                    above[callee] = above[name]
                    came_from[callee] = name
                    following.append(callee)
        front = following
    return above, came_from


CHECK = Check(check, {}, ("path", "upper", "lower", "number", "more"))
