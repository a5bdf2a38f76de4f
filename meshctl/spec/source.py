"""Where each part of a spec was written: raw YAML nodes with the places of their keys and items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from meshctl.diagnostics import Position

Node = Any
"""``dict[str, Node]``, ``list[Node]``, ``str`` (every scalar is still text) or None (a null)."""


@dataclass(slots=True)
class Positions:
    """The place of each container, key, item and value, remembered beside the plain nodes.

    Kept by identity of the container, so the containers must live as long as this does.
    """

    of_container: dict[int, Position] = field(default_factory=dict)
    of_keys: dict[int, dict[Any, tuple[str, int, int]]] = field(default_factory=dict)
    of_values: dict[int, dict[Any, tuple[str, int, int]]] = field(default_factory=dict)

    def key(self, container: Node, key: str | int) -> Position | None:
        """Where ``key`` (or the item with that index) of ``container`` begins."""
        place = self.of_keys.get(id(container), {}).get(key)
        return Position(*place) if place else None

    def value(self, container: Node, key: str | int) -> Position | None:
        """Where the value of ``key`` begins; the key's place where it is unknown."""
        place = self.of_values.get(id(container), {}).get(key)
        return Position(*place) if place else self.key(container, key)


@dataclass(frozen=True, slots=True)
class Source:
    """A cursor into the raw spec: ``source["services"]["web"].at("timeout")``."""

    positions: Positions
    node: Node
    here: Position | None = None

    def __getitem__(self, key: str | int) -> Source:
        """The part below ``key``; a cursor to nothing where there is none."""
        place = self.positions.key(self.node, key)
        node = self.node
        if isinstance(node, Mapping):
            child = node.get(key)
        elif isinstance(node, list) and isinstance(key, int) and key < len(node):
            child = node[key]
        else:
            child = None
        return Source(self.positions, child, place or self.here)

    def __contains__(self, key: str) -> bool:
        return isinstance(self.node, Mapping) and key in self.node

    def at(self, *path: str | int) -> Position | None:
        """Where the last part of ``path`` that exists was written (its key, or its item)."""
        cursor = self
        for key in path:
            cursor = cursor[key]
        return cursor.here

    def value_at(self, key: str | int) -> Position | None:
        """Where the value of ``key`` was written."""
        return self.positions.value(self.node, key) or self.here
