"""How a YAML file is laid out: where each key, item and comment begins and ends, by libyaml's events."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Any

from msgspec import Struct, field
from yaml.cyaml import CParser
from yaml.events import AliasEvent, MappingStartEvent, ScalarEvent, SequenceStartEvent, StreamEndEvent

from meshctl.diagnostics import Part

_COMMENT = re.compile(r"(?<!\S)#[^\r\n]*")
_BLOCK_HEADER = re.compile(r"[|>][^\s#]*[ \t]+(#[^\r\n]*)")

Event = Any


class Node(Struct, eq=False):
    """A value. ``end`` is the end of what is written: neither blanks nor comments behind it count."""

    begin: int
    end: int
    flow: bool
    mapping: bool
    anchor: str | None
    entries: list[Entry] = field(default_factory=list)
    holder: Entry | None = None


class Entry(Struct, eq=False):
    """A key with its value, or an item (``key`` is empty then, and ``key_end`` where it begins)."""

    begin: int
    key_end: int
    key: str
    node: Node
    within: Node


class Layout:
    """The layout of ``text``, which is one document that :func:`meshctl.load.read_yaml` has no fault to find with."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self._lines = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
        self._leaves: list[tuple[int, int]] = []
        self._aliased: set[str] = set()
        self._entries: dict[tuple[int, str, bool], Entry] = {}
        parser = CParser(text.encode())
        events = iter(parser.get_event, None)
        next(events)
        self.root = self._node(next(events), events) if type(next(events)) is not StreamEndEvent else None
        self.comments = tuple(self._comments())

    def find(self, part: Part) -> Entry | None:
        """What stands at the place of ``part``."""
        if not 0 < part.at.line <= len(self._lines):
            return None
        begin = self._lines[part.at.line - 1] + part.at.column - 1
        return self._entries.get((begin, part.key, bool(part.key)))

    def is_shared(self, entry: Entry) -> bool:
        """Whether an alias repeats the entry, something around it, or something in it."""
        around: Entry | None = entry
        while around is not None:
            if self._is_aliased(around.within):
                return True
            around = around.within.holder
        return any(map(self._is_aliased, _below(entry.node)))

    def line_start(self, index: int) -> int:
        """Where the line begins that holds the character with this index."""
        return self.text.rfind("\n", 0, index) + 1

    def line_end(self, index: int) -> int:
        """Where that line ends: before its line feed, and the carriage return with it."""
        end = self.text.find("\n", index)
        if end < 0:
            return len(self.text)
        return end - 1 if end > index and self.text[end - 1] == "\r" else end

    def comments_in(self, begin: int, end: int) -> list[tuple[int, int]]:
        """Where the comments begin and end that stand between two places."""
        return [each for each in self.comments if begin <= each[0] < end]

    def _is_aliased(self, node: Node) -> bool:
        return node.anchor is not None and node.anchor in self._aliased

    def _node(self, event: Event, events: Iterator[Event]) -> Node:
        if isinstance(event, AliasEvent):
            self._aliased.add(event.anchor)
            return self._leaf(event, None)
        if isinstance(event, ScalarEvent):
            return self._leaf(event, event.anchor)
        mapping = isinstance(event, MappingStartEvent)
        node = Node(event.start_mark.index, 0, bool(event.flow_style), mapping, event.anchor)
        while isinstance(
            following := next(events), ScalarEvent | AliasEvent | MappingStartEvent | SequenceStartEvent
        ):
            begin = key_end = following.start_mark.index
            key = ""
            if mapping:
                key_end, key = self._leaf(following, None).end, following.value
                following = next(events)
            entry = Entry(begin, key_end, key, self._node(following, events), node)
            entry.node.holder = entry
            self._entries[begin, key, mapping] = entry
            node.entries.append(entry)
        node.end = following.end_mark.index if node.flow or not node.entries else node.entries[-1].node.end
        return node

    def _leaf(self, event: Event, anchor: str | None) -> Node:
        begin, end = event.start_mark.index, event.end_mark.index
        if getattr(event, "style", None) in ("|", ">"):
            end = begin + len(self.text[begin:end].rstrip())
        self._leaves.append((begin, end))
        return Node(begin, end, flow=False, mapping=False, anchor=anchor)

    def _comments(self) -> Iterator[tuple[int, int]]:
        """No value holds a comment, but for the first line of a text in block style."""
        edges = [(0, 0), *self._leaves, (len(self.text), len(self.text))]
        for (begin, end), (following, _) in pairwise(edges):
            header = _BLOCK_HEADER.match(self.text, begin, self.line_end(begin)) if end > begin else None
            if header:
                yield header.span(1)
            yield from (each.span() for each in _COMMENT.finditer(self.text, end, max(end, following)))


def _below(node: Node) -> Iterator[Node]:
    yield node
    for entry in node.entries:
        yield from _below(entry.node)
