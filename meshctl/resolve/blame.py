"""Every setting of a service, or of one of its routes, as rows that can be compared between two revisions of a spec."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import zip_longest

from msgspec import Struct

from meshctl.diagnostics import Position, UsageError
from meshctl.ir import duration_text
from meshctl.resolve.parts import former_name, leaves, names, section_of
from meshctl.resolve.settings import Setting, settings
from meshctl.spec import Source, Spec
from meshctl.spec.source import Node
from meshctl.suggestions import meant

_LISTS = ("endpoints", "allow", "deny", "waive", "hostnames")
"""Settings that are told one by one, not as one text."""
RULES = ("allow", "deny")
_KEYS = ("name", "address", "subset", "service")
"""What the items of a list are known by, the first that they have."""
_DURATION = re.compile(r"(?:\d+(?:ms|s|m|h))+")
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_SIMILAR = 0.5


class Row(Struct, frozen=True):
    """One setting. Two rows say the same if all but their places is equal."""

    name: str
    value: str
    at: Position | None
    """None where meshctl's default holds."""
    inherited: bool = False
    """Whether another part of the spec says so."""

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same row in another revision: however a value is written."""
        return self.name, _DURATION.sub(_canonical, self.value)


def _canonical(written: re.Match[str]) -> str:
    total = sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)(ms|s|m|h)", written[0]))
    return duration_text(timedelta(milliseconds=total)) if total < 1 << 40 else written[0]


def rows(spec: Spec, name: str, part: str = "") -> tuple[Row, ...]:
    """All of the service, external or gateway ``name``; with ``part`` of its route of that name, or of its rules.

    Empty where there is no such part. Raises UsageError where the spec is so written that a setting leads nowhere.
    """
    section = section_of(spec.source, name)
    if not section:
        return ()
    own = spec.source[section][name]
    if part in route_names(own):
        path = f"{section}.{name}.routes.{part}"
        return tuple(_part_rows(spec, path, own["routes"][_route_index(own, part)]))
    if part:
        return tuple(_leaf_rows(own[part], part)) if part in RULES else ()
    return tuple(_part_rows(spec, f"{section}.{name}", own))


def layer_rows(spec: Spec) -> tuple[Row, ...]:
    """What holds of a part that is not there yet: what the mesh and its defaults say."""
    found = (each for layer in ("mesh", "defaults") for each in settings(spec, layer))
    return tuple(Row(each.name, each.value, each.at, inherited=True) for each in found if each.at)


def require(spec: Spec, name: str, part: str) -> None:
    """Raises UsageError unless the spec has the service ``name``, and ``part`` in it."""
    known = names(spec.source)
    if name not in known:
        raise UsageError(f"there is no service named `{name}` in the spec{meant(name, known)}")
    routes = route_names(known[name])
    if part and part not in routes and not (part in RULES and part in known[name]):
        there = [*routes, *(each for each in RULES if each in known[name])]
        raise UsageError(
            f"there is no route named `{part}` at `{name}`{meant(part, there)} (there are {', '.join(there) or 'none'})"
        )


def former_route(before: Source, after: Source, route: str) -> str:
    """How the route of the part ``after`` was called in ``before``; empty where it is new.

    Of those that are gone it is the one that it has half of its lines or more in common with, and most.
    """
    own = set(leaves(after["routes"][_route_index(after, route)].node)) - {(".name", route)}
    now = route_names(after)
    rated = []
    for each in route_names(before):
        if each not in now:
            theirs = set(leaves(before["routes"][_route_index(before, each)].node)) - {(".name", each)}
            rated.append((len(own & theirs) / (len(own | theirs) or 1), each))
    best = max(rated, default=(0.0, ""))
    return best[1] if best[0] >= _SIMILAR else ""


def former(before: Spec, after: Spec, name: str, part: str) -> tuple[str, str]:
    """How the service and its part were called before; the same names where they had none else."""
    was = name if section_of(before.source, name) else former_name(before.source, after.source, name) or name
    old, new = names(before.source).get(was), names(after.source).get(name)
    if old is None or new is None or not part or part in route_names(old) or part not in route_names(new):
        return was, part
    return was, former_route(old, new, part) or part


def route_names(part: Source) -> tuple[str, ...]:
    """The names of its routes, in order."""
    node = part["routes"].node
    listed = node if isinstance(node, list) else ()
    return tuple(str(each.get("name")) for each in listed if isinstance(each, dict))


def _route_index(part: Source, route: str) -> int:
    return next(
        index
        for index, each in enumerate(part["routes"].node)
        if isinstance(each, dict) and str(each.get("name")) == route
    )


def _part_rows(spec: Spec, path: str, own: Source) -> Iterator[Row]:
    known = [each for each in settings(spec, path) if each.name not in _LISTS]
    written = dict(_written(own))
    for each in known:
        yield _row(each, written)
    told = {each.name for each in known}
    for row in _leaf_rows(own, ""):
        if not any(row.name == name or row.name.startswith(f"{name}.") for name in told):
            yield row


def _row(setting: Setting, written: dict[Position, str]) -> Row:
    return Row(setting.name, setting.value, setting.at, inherited=setting.at not in written)


def _written(source: Source, path: str = "") -> Iterator[tuple[Position, str]]:
    """The places of all keys."""
    if isinstance(source.node, dict):
        for key in source.node:
            at = source.at(key)
            if at is not None:
                yield at, f"{path}.{key}"
            yield from _written(source[key], f"{path}.{key}")


def _leaf_rows(source: Source, path: str) -> Iterator[Row]:
    """Every value that is written, a list's items by what they are known by."""
    node = source.node
    match node:
        case dict() if node:
            for key in node:
                yield from _leaf_rows(source[key], f"{path}.{key}".lstrip("."))
        case list() if node:
            for index, item in enumerate(node):
                key = next((each for each in _KEYS if isinstance(item, dict) and each in item), "")
                shown = f"{path}.{item[key]}" if key else path
                rest = {name: each for name, each in item.items() if name != key} if key else item
                if key == "name":
                    yield Row(shown, "", source[index].here)
                    for name in rest:
                        yield from _leaf_rows(source[index][name], f"{shown}.{name}")
                else:
                    yield Row(shown, _text(rest), source[index].here)
        case _:
            yield Row(path, _text(node) if node is not None else "", source.here)


def _text(node: Node) -> str:
    match node:
        case dict():
            return ", ".join(f"{key}: {_nested(node[key])}" for key in sorted(node))
        case list():
            return ", ".join(map(_nested, node))
        case _:
            return "" if node is None else str(node)


def _nested(node: Node) -> str:
    match node:
        case dict():
            return f"{{{_text(node)}}}"
        case list():
            return f"[{_text(node)}]"
        case _:
            return _text(node)


def changes(before: Iterable[Row], after: Iterable[Row]) -> Iterator[tuple[str, str | None, str | None]]:
    """Name, value before and value after of each row that differs; None where there is none on that side."""
    old, new = list(before), list(after)
    same = {each.key for each in old} & {each.key for each in new}
    was, now = ([each for each in side if each.key not in same] for side in (old, new))
    for name in dict.fromkeys(each.name for each in (*now, *was)):
        values = ([each.value for each in side if each.name == name] for side in (was, now))
        yield from ((name, one, other) for one, other in zip_longest(*values))
