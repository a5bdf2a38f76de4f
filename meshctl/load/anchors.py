"""Anchors and aliases of one file, with the bounds on what the aliases stand for."""

from __future__ import annotations

from msgspec import Struct, field

from meshctl.diagnostics import Position
from meshctl.load import limits
from meshctl.load.text import brief
from meshctl.spec.source import Node

Problem = tuple[str, str]
"""The slug of a finding, and its message."""

_CHARACTERS_PER_NODE = 100


class Anchors(Struct):
    """The anchors seen so far. Every alias is weighed before it is followed."""

    _nodes: dict[str, Node] = field(default_factory=dict)
    _opened: dict[str, Position] = field(default_factory=dict)
    _sizes: dict[int, tuple[int, int]] = field(default_factory=dict)
    _aliased: int = 0

    def open(self, name: str, at: Position) -> Position | None:
        """A node called ``name`` begins; the place of another of that name, if there is one."""
        before = self._opened.get(name)
        self._opened[name] = at
        self._nodes.pop(name, None)
        return before

    def close(self, name: str, node: Node) -> None:
        """The node called ``name`` is complete."""
        self._nodes[name] = node

    def expand(self, name: str, depth: int) -> tuple[Node, Problem | None]:
        """The node that an alias at ``depth`` stands for, or why it is refused."""
        if name not in self._opened:
            return None, ("yaml-syntax", f"there is no anchor `&{brief(name)}` above this alias")
        if name not in self._nodes:
            return None, ("yaml-feature-refused", f"`*{brief(name)}` stands inside what it refers to")
        node = self._nodes[name]
        weight, height = self._size(node)
        self._aliased += weight
        if self._aliased > limits.ALIASED:
            return None, ("too-large", f"the aliases stand for more than {limits.ALIASED:,} values")
        if depth + height > limits.DEPTH:
            return None, (
                "too-large",
                f"more than {limits.DEPTH} levels of nesting once aliases are followed",
            )
        return node, None

    def _size(self, node: Node) -> tuple[int, int]:
        """How many nodes ``node`` is with all aliases followed, and how many levels of containers."""
        if node is None or isinstance(node, str):
            return 1 + len(node or "") // _CHARACTERS_PER_NODE, 0
        known = self._sizes.get(id(node))
        if known is None:
            keys = node if isinstance(node, dict) else ()
            children = node.values() if isinstance(node, dict) else node
            sizes = [self._size(child) for child in (*keys, *children)]
            weight = 1 + sum(size[0] for size in sizes)
            known = self._sizes[id(node)] = weight, 1 + max((size[1] for size in sizes), default=0)
        return known
