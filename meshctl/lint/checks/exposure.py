"""Who gets to a protected service, and by which path: linear in the calls for each of them.

Exactly, where :mod:`meshctl.ir.reachability` says who is let in; else calls are taken for permissions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshctl.lint.checks.base import Check, Violation, path_text
from meshctl.lint.facts import ServiceFacts, Value, World, place
from meshctl.lint.literals import shown

_MOST = 100
"""Protected services that are looked at: each costs a walk over all calls."""


def is_protected(labels: Mapping[str, str], params: Mapping[str, Value]) -> bool:
    """Whether a service with these labels is one to look at."""
    return labels.get(str(params["label"])) == "true"


def check(world: World, params: Mapping[str, Value]) -> Iterator[Violation]:
    """Services with the label whose callers' callers, at any distance, are gateways or open: clients outside the mesh."""
    callers = _callers(world)
    protected = [each for each in world.services.values() if is_protected(each.labels, params)]
    for service in protected[:_MOST]:
        yield from _exposed(service, callers, world)
    for service in protected[_MOST:]:
        how = f"was not looked at: there are more than {_MOST} such services"
        yield Violation(at=place(service), values={"service": service.name, "how": how})


def _callers(world: World) -> dict[str, list[str]]:
    if world.permitted is not None:
        return {callee: list(each) for callee, each in world.permitted.items()}
    callers: dict[str, list[str]] = {}
    for call in world.calls:
        callers.setdefault(call.callee, []).append(call.caller)
    return callers


def _exposed(service: ServiceFacts, callers: Mapping[str, list[str]], world: World) -> Iterator[Violation]:
    next_to = _reaching(service.name, callers)
    paths = [_path(name, service.name, next_to) for name in world.mesh.gateways if name in next_to]
    paths += [
        ["(in plaintext)", *_path(name, service.name, next_to)]
        for name in world.doors
        if name in next_to or name == service.name
    ]
    if not paths:
        return
    direct = sorted(set(callers.get(service.name, ())))
    others = tuple(sorted(next_to.keys() - set(direct)))
    through = f", and through them {shown(others)}" if others else ""
    by = f"; it is called by {shown(tuple(direct))}{through}" if direct else ""
    shortest = min(paths, key=len)
    entrances = [" → ".join(each[: 1 + each[0].startswith("(")]) for each in paths if each is not shortest]
    also = f", and from {shown(tuple(entrances))}" if entrances else ""
    how = f"clients outside the mesh get to it over {path_text(shortest)}{also}{by}"
    yield Violation(at=place(service), values={"service": service.name, "how": how})


def _reaching(name: str, callers: Mapping[str, list[str]]) -> dict[str, str]:
    """Everybody who gets to ``name`` over calls, with the next service of a shortest path."""
    next_to: dict[str, str] = {}
    front = [name]
    while front:
        following = []
        for each in front:
            for caller in sorted(callers.get(each, ())):
                if caller not in next_to and caller != name:
                    next_to[caller] = each
                    following.append(caller)
        front = following
    return next_to


def _path(start: str, end: str, next_to: Mapping[str, str]) -> list[str]:
    path = [start]
    while path[-1] != end:
        path.append(next_to[path[-1]])
    return path


CHECK = Check(check, {"label": "protected"}, ("service", "how"))
