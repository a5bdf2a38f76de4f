"""Where each part of a spec was written: raw YAML nodes with the places of their keys and items."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any

from msgspec import Struct, field

from meshctl.diagnostics import Part, Position

Node = Any
"""``dict[str, Node]``, ``list[Node]``, ``str`` (every scalar is still text) or None (a null)."""


Origin = tuple[Node, str | int]
"""A container that was read, and a key (or an index) of it."""

_FEW = 32
"""Keys of a mapping that are found sooner by looking than by an index."""


class _Made(Struct, frozen=True):
    """Where a container that was made from others has its parts from; holding them keeps them alive."""

    container: Node
    of: Node
    origins: Mapping[Any, Origin]
    others: Mapping[Any, Origin]


class Positions(Struct, eq=False):
    """The place of each container, key, item and value, remembered beside the plain nodes.

    Kept by identity of the container, so the containers must live as long as this does, and a mapping
    that was read must not lose keys. Places of what was read stand packed in one array, because ten
    thousand services have a million of them; containers made later (merged ones) name those that their
    parts are from.
    """

    _files: list[str] = field(default_factory=list)
    _texts: list[str] = field(default_factory=list)
    _lines: dict[int, list[int]] = field(default_factory=dict)
    _starts: list[int] = field(default_factory=list)
    _places: array[int] = field(default_factory=lambda: array("I"))
    _first: dict[int, int] = field(default_factory=dict)
    _ordinals: dict[int, dict[str, int]] = field(default_factory=dict)
    _made: dict[int, _Made] = field(default_factory=dict)

    def begin(self, file: str, text: str) -> None:
        """What is remembered from now on was written in ``file``, whose text is ``text``."""
        self._files.append(file)
        self._texts.append(text)
        self._starts.append(len(self._places))

    def remember(self, container: Node, places: list[int]) -> None:
        """Keep the places of a container that was just read, as numbers of characters before them.

        They are that of the container itself, then for a mapping those of each key and its value,
        for a list those of each item.
        """
        self._first[id(container)] = len(self._places)
        self._places.fromlist(places)

    def adopt(self, file: str, read: Positions) -> None:
        """Remember all that ``read`` does, of one file, as written in ``file``.

        Its containers must not be here already: what has two places has none.
        """
        before = len(self._places)
        self.begin(file, read._texts[0])
        self._first.update((container, before + first) for container, first in read._first.items())
        self._places.extend(read._places)

    def derive(
        self,
        container: Node,
        of: Node,
        origins: Mapping[Any, Origin],
        others: Mapping[Any, Origin] | None = None,
    ) -> None:
        """``container`` was made from others and begins where ``of`` does; its parts stand at ``origins``.

        ``others`` are second places, of parts that two containers were merged to.
        """
        # A container that was read and given up (its key was refused) may have had this identity.
        self._first.pop(id(container), None)
        self._made[id(container)] = _Made(container, of, origins, others or {})

    def container(self, container: Node) -> Position | None:
        """Where ``container`` begins."""
        made = self._made.get(id(container))
        if made is not None:
            return self.container(made.of)
        first = self._first.get(id(container))
        return None if first is None else self._position(first)

    def key(self, container: Node, key: str | int) -> Position | None:
        """Where ``key`` (or the item with that index) of ``container`` begins."""
        return self._find(container, key, 0)

    def value(self, container: Node, key: str | int) -> Position | None:
        """Where the value of ``key`` begins; the key's place where it is unknown."""
        return self._find(container, key, 1)

    def keys(self, container: Node, key: str | int) -> Iterator[Position]:
        """Every place where ``key`` was written: one, or one more for each file merged over it."""
        made = self._made.get(id(container))
        if made is None:
            at = self.key(container, key)
            if at is not None:
                yield at
            return
        for origin in (made.origins.get(key), made.others.get(key)):
            if origin is not None:
                yield from self.keys(*origin)

    def is_plain(self, at: Position | None, value: str) -> bool:
        """Whether ``value``, which begins at ``at``, stands there without quotes."""
        if at is None:
            return False
        nth = self._files.index(at.file)
        return self._texts[nth].startswith(value, self._lines[nth][at.line - 1] + at.column - 1)

    def _find(self, container: Node, key: str | int, nth: int) -> Position | None:
        first = self._first.get(id(container))
        if first is None:
            made = self._made.get(id(container))
            origin = made.origins.get(key) if made is not None else None
            return None if origin is None else self._find(*origin, nth)
        if isinstance(container, list):
            known = isinstance(key, int) and 0 <= key < len(container)
            return self._position(first + 1 + int(key)) if known else None
        if not isinstance(key, str) or key not in container:
            return None
        few = len(container) <= _FEW
        ordinal = list(container).index(key) if few else self._ordinal(container, key)
        return self._position(first + 1 + 2 * ordinal + nth)

    def _ordinal(self, mapping: Mapping[str, Node], key: str) -> int:
        ordinals = self._ordinals.get(id(mapping))
        if ordinals is None:
            ordinals = {each: ordinal for ordinal, each in enumerate(mapping)}
            self._ordinals[id(mapping)] = ordinals
        return ordinals[key]

    def _position(self, index: int) -> Position:
        nth = bisect_right(self._starts, index) - 1
        lines = self._lines.get(nth)
        if lines is None:
            ends = accumulate(len(line) + 1 for line in self._texts[nth].split("\n"))
            lines = self._lines[nth] = [0, *ends]
        before = self._places[index]
        line = bisect_right(lines, before)
        return Position(self._files[nth], line, before - lines[line - 1] + 1)


class Source(Struct, frozen=True, eq=False):
    """A cursor into the raw spec: ``source["services"]["web"].at("timeout")``.

    Moving it is cheap; a place is looked up only when it is asked for.
    """

    positions: Positions
    node: Node
    parent: Source | None = None
    key: str | int = ""

    def __getitem__(self, key: str | int) -> Source:
        """The part below ``key``; a cursor to nothing where there is none."""
        node = self.node
        if isinstance(node, dict):
            child = node.get(key)
        elif isinstance(node, list) and isinstance(key, int) and key < len(node):
            child = node[key]
        else:
            child = None
        return Source(self.positions, child, self, key)

    def __contains__(self, key: str) -> bool:
        return isinstance(self.node, dict) and key in self.node

    @property
    def here(self) -> Position | None:
        """Where this was written; the place of the nearest part around it that was."""
        if self.parent is None:
            return None
        return self.positions.key(self.parent.node, self.key) or self.parent.here

    def at(self, *path: str | int) -> Position | None:
        """Where the last part of ``path`` that exists was written (its key, or its item)."""
        if not path:
            return self.here
        cursor = self
        for key in path[:-1]:
            cursor = cursor[key]
        return self.positions.key(cursor.node, path[-1]) or cursor.here

    def part(self, *path: str | int) -> Part | None:
        """What is at the end of ``path``, to be edited; None where nobody wrote it."""
        *parents, last = path
        cursor = self
        for key in parents:
            cursor = cursor[key]
        at = self.positions.key(cursor.node, last)
        return Part(at, last if isinstance(last, str) else "") if at is not None else None

    def places(self, key: str | int) -> Iterator[Position]:
        """Every place where ``key`` was written; several where files were merged over one another."""
        return self.positions.keys(self.node, key)

    def value_at(self, key: str | int) -> Position | None:
        """Where the value of ``key`` was written."""
        return self.positions.value(self.node, key) or self.here
