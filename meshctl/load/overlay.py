"""What an environment changes, merged over the spec: the raw nodes of both to new ones, neither is changed."""

from __future__ import annotations

from typing import TypeGuard

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Related
from meshctl.load import limits
from meshctl.load.text import brief
from meshctl.spec.source import Node, Origin, Positions
from meshctl.suggestions import nearest

Mapping = dict[str, Node]

_MOST_CANDIDATES = 200


def overlay(base: Mapping, over: Mapping, positions: Positions) -> tuple[Mapping, list[Finding]]:
    """``base`` with ``over`` merged over it, and the faults of ``over``.

    Mappings merge by key and lists of named mappings by name; any other value takes the place of the
    one in ``base``; null deletes. What ``over`` wrote keeps its place in ``positions``, as does the rest.
    """
    merging = _Overlay(positions)
    return merging.mapping(base, over), merging.findings


class _Overlay:
    """One merge. Every part of ``base`` is visited once at most, however often aliases repeat it."""

    def __init__(self, positions: Positions) -> None:
        self.findings: list[Finding] = []
        self._positions = positions

    def mapping(self, base: Mapping, over: Mapping) -> Mapping:
        made: Mapping = {}
        origins: dict[str, Origin] = {}
        others: dict[str, Origin] = {}
        for key, before in base.items():
            if key in over and over[key] is None:
                continue
            made[key], origins[key] = before, (base, key)
            if key in over:
                made[key] = self._value(before, over[key])
                merged = made[key] is not over[key] and type(before) is type(over[key])
                (others if merged else origins)[key] = over, key
        for key, after in over.items():
            if key in base:
                continue
            if after is None:
                self._nothing(base, over, key)
                continue
            made[key], origins[key] = self._value(None, after), (over, key)
        self._positions.derive(made, base or over, origins, others)
        return made

    def _nothing(self, base: Mapping, over: Mapping, key: str) -> None:
        if len(self.findings) >= limits.FAULTS:
            return
        kept = [each for each in base if each not in over] if len(base) <= _MOST_CANDIDATES else []
        close = nearest(key, kept)
        message = f"there is no `{brief(key)}` here in the spec that this null could delete"
        fix = f"Did you mean `{brief(close)}`?" if close else ""
        self.findings.append(finding("nothing-to-delete", self._positions.key(over, key), message, fix=fix))

    def _value(self, before: Node, after: Node) -> Node:
        if isinstance(after, dict):
            # Merged even over nothing: a null in it is a fault, for there is nothing that it deletes.
            return self.mapping(before if isinstance(before, dict) else {}, after)
        if _is_named(before) and _is_named(after):
            return self._named(before, after)
        return after

    def _named(self, base: list[Mapping], over: list[Mapping]) -> list[Node]:
        made: list[Node] = list(base)
        origins: dict[int, Origin] = {index: (base, index) for index in range(len(base))}
        others: dict[int, Origin] = {}
        # Of two items of one name in the spec, which is a fault found later, the first one is meant.
        indices = {item["name"]: index for index, item in reversed(list(enumerate(base)))}
        seen: dict[str, int] = {}
        for index, item in enumerate(over):
            name: str = item["name"]
            if name in seen:
                self._twice(over, index, seen[name])
                continue
            seen[name] = index
            if name in indices:
                made[indices[name]] = self.mapping(base[indices[name]], item)
                others[indices[name]] = over, index
            else:
                origins[len(made)] = over, index
                made.append(self.mapping({}, item))
        self._positions.derive(made, base, origins, others)
        return made

    def _twice(self, over: list[Mapping], index: int, before: int) -> None:
        if len(self.findings) >= limits.FAULTS:
            return
        first = self._positions.key(over, before)
        related = (Related(first, "the first one"),) if first else ()
        message = f"`{brief(over[index]['name'])}` is defined twice"
        at = self._positions.key(over, index)
        self.findings.append(finding("duplicate-definition", at, message, related=related))


def _is_named(node: Node) -> TypeGuard[list[Mapping]]:
    """Whether the items of this list are known by their names, as routes are."""
    return (
        isinstance(node, list)
        and bool(node)
        and all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in node)
    )
