"""What is gone, or thin, when a zone is: each zone in time linear in the calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from meshctl.diagnostics import Related
from meshctl.lint.checks.base import Check, Violation, whole
from meshctl.lint.facts import ServiceFacts, Value, World, place
from meshctl.lint.literals import shown

_PLACES = 3


def check(world: World, params: Mapping[str, Value]) -> Iterator[Violation]:
    """Zones that take whole services with them, or leave less of one than ``left`` percent of its weight."""
    left = whole(params, "left")
    callers: dict[str, list[str]] = {}
    for call in world.calls:
        callers.setdefault(call.callee, []).append(call.caller)
    by_zone: dict[str, list[ServiceFacts]] = {}
    for service in world.services.values():
        for zone in service.capacity:
            by_zone.setdefault(zone, []).append(service)
    for zone, services in sorted(by_zone.items()):
        share = {each.name: int(each.capacity[zone]) for each in services}
        gone = [each for each in services if share[each.name] == 100]
        thin = [each for each in services if left > 100 - share[each.name] > 0]
        hit = gone or thin
        if not hit:
            continue
        yield Violation(
            at=place(hit[0], "endpoints"),
            values={"zone": zone, "effect": _effect(gone, thin, share, callers)},
            related=tuple(
                Related(at, f"{each.name} has {share[each.name]} % of its weight there")
                for each in hit[1 : 1 + _PLACES]
                if (at := place(each, "endpoints")) is not None
            ),
        )


def _effect(
    gone: Iterable[ServiceFacts],
    thin: Iterable[ServiceFacts],
    share: Mapping[str, int],
    callers: Mapping[str, list[str]],
) -> str:
    dead = {each.name for each in gone}
    parts = []
    if dead:
        needing = _transitive(dead, callers)
        suffering = f", which {shown(tuple(sorted(needing)))} need" if needing else ""
        parts.append(f"nothing is left of {shown(tuple(sorted(dead)))}{suffering}")
    weak = tuple(f"{100 - share[each.name]} % of {each.name}" for each in thin)
    if weak:
        parts.append(f"only {shown(weak)} is left")
    return "; ".join(parts)


def _transitive(dead: set[str], callers: Mapping[str, list[str]]) -> set[str]:
    """Who calls one of the dead, or somebody who does, and lives."""
    seen, front = set(dead), list(dead)
    while front:
        for each in callers.get(front.pop(), ()):
            if each not in seen:
                seen.add(each)
                front.append(each)
    return seen - dead


CHECK = Check(check, {"left": 30}, ("zone", "effect"))
