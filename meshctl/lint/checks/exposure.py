"""Who gets to a protected service, and by which path: linear in the calls for each of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshctl.lint.checks.base import Check, Violation, path_text
from meshctl.lint.facts import Value, World, place
from meshctl.lint.literals import shown

_MOST = 100
"""Protected services that are looked at: each costs a walk over all calls."""


def check(world: World, params: Mapping[str, Value]) -> Iterator[Violation]:
    """Services with the label whose callers' callers, at any distance, are gateways: clients outside the mesh."""
    label = str(params["label"])
    callers: dict[str, list[str]] = {}
    for call in world.calls:
        callers.setdefault(call.callee, []).append(call.caller)
    protected = [each for each in world.services.values() if each.labels.get(label) == "true"]
    for service in protected[:_MOST]:
        next_to = _reaching(service.name, callers)
        entrances = [name for name in world.mesh.gateways if name in next_to]
        if not entrances:
            continue
        paths = [_path(name, service.name, next_to) for name in entrances]
        direct = sorted(set(callers.get(service.name, ())))
        others = tuple(sorted(next_to.keys() - set(direct)))
        through = f", and through them {shown(others)}" if others else ""
        yield Violation(
            at=place(service),
            values={
                "service": service.name,
                "how": f"clients outside the mesh get to it over {path_text(min(paths, key=len))}; "
                f"it is called by {shown(tuple(direct))}{through}",
            },
        )
    for service in protected[_MOST:]:
        how = f"was not looked at: there are more than {_MOST} such services"
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
