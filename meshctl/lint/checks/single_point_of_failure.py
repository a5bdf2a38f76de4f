"""Services whose one instance, or one zone, others depend on.

The places where the call graph falls apart are its articulation points (Hopcroft and Tarjan 1973), in time
linear in the calls. Calls count in both directions: what matters is who is cut off from whom.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshctl.lint.checks.base import Check, Violation, whole
from meshctl.lint.checks.graph import cut_off
from meshctl.lint.facts import ServiceFacts, Value, World, place
from meshctl.lint.literals import listed


def check(world: World, params: Mapping[str, Value]) -> Iterator[Violation]:
    """Services with callers that one failed instance or zone takes away, and that hold the mesh together."""
    neighbours: dict[str, set[str]] = {name: set() for name in world.services}
    callers: dict[str, set[str]] = {name: set() for name in world.services}
    for call in world.calls:
        neighbours.setdefault(call.caller, set()).add(call.callee)
        neighbours.setdefault(call.callee, set()).add(call.caller)
        callers.setdefault(call.callee, set()).add(call.caller)
    parts = cut_off({name: sorted(neighbours[name]) for name in sorted(neighbours)})
    for name, service in world.services.items():
        weakness = _weakness(service)
        if not weakness or not callers[name]:
            continue
        reason = _reason(parts.get(name, []), callers[name], whole(params, "callers"))
        if reason:
            yield Violation(
                at=place(service, "endpoints"),
                values={"service": name, "weakness": weakness, "reason": reason},
            )


def _weakness(service: ServiceFacts) -> str:
    if service.instances == 1:
        return "has one instance"
    if service.instances > 1 and len(service.zones) == 1:
        return f"has all its {service.instances} instances in the zone {service.zones[0]}"
    return ""


def _reason(parts: list[str], callers: set[str], many: int) -> str:
    if parts:
        return f"without it the call graph falls apart, at {listed(sorted(parts), 5)}"
    if len(callers) >= many:
        return f"{len(callers)} services call it"
    return ""


CHECK = Check(check, {"callers": 3}, ("service", "weakness", "reason"))
