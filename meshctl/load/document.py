"""One YAML file to plain nodes and their places, by libyaml's events.

Events and not a loader: they are thirty times faster than a round-trip loader, nothing is built that the
bounds do not allow, and no scalar is ever taken for anything but text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Any

from msgspec import Struct
from yaml import YAMLError
from yaml.cyaml import CParser
from yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position, Related
from meshctl.load import limits
from meshctl.load.anchors import Anchors
from meshctl.load.syntax import directive, syntax_fault
from meshctl.load.text import brief, decode, name_of, unshown_in
from meshctl.spec.source import Node, Positions

Event = Any
_UNTAG = "Remove the tag: a value has the type that its key asks for. Text that begins with `!` needs quotes."
_SPLIT = "Put it into a file of its own; a spec may be a folder of files."
_TEMPLATE = (
    "A spec has no templates: render `{{ … }}` before, or let a file in `environments/` say what differs."
)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


class Document(Struct, frozen=True):
    """What one file holds. ``node`` is None when the file is empty or could not be read to its end."""

    node: Node
    positions: Positions
    text: str
    findings: tuple[Finding, ...]


class _StoppedError(Exception):
    """The rest of the file is not read; the reason is among the findings."""


def read_yaml(content: bytes, file: str, positions: Positions | None = None) -> Document:
    """The one document in ``content``; places are added to ``positions``. Never raises."""
    positions = positions or Positions()
    text = decode(content, file)
    if isinstance(text, Finding):
        # A file with a secret in it is not shown, not a line of it.
        secret = text.slug == "secret-in-spec"
        shown = "" if secret else content[: limits.FILE_BYTES].decode("utf-8", "replace")
        return Document(None, positions, shown, (text,))
    refused = directive(text, file)
    if refused:
        return Document(None, positions, text, (refused,))
    positions.begin(file, text)
    reader = _Reader(text, file, positions)
    node = reader.read()
    return Document(node, positions, text, tuple(reader.findings))


class _Reader:
    """The walk over the events of one file."""

    def __init__(self, text: str, file: str, positions: Positions) -> None:
        self.findings: list[Finding] = []
        self._file = file
        self._text = text
        self._positions = positions
        self._parser = CParser(text.encode())
        self._next: Callable[[], Event] = chain.from_iterable(self._batches()).__next__
        # Equal texts are one object: keys repeat in every service.
        self._shared: dict[str, str] = {}
        self._depth = 0
        self._anchors = Anchors()
        # Most files hold no tag, anchor or escape, and their nodes need not be asked.
        self._plain = not any(mark in text for mark in "!&\\")

    def read(self) -> Node:
        try:
            self._next()
            event = self._next()
            if type(event) is StreamEndEvent:
                return None
            node = self._node(self._next())
            self._next()
            event = self._next()
            if type(event) is not StreamEndEvent:
                self._report("yaml-feature-refused", event, "a second document begins here", fix=_SPLIT)
        except YAMLError as error:
            self.findings.append(syntax_fault(error, self._text, self._file))
        except StopIteration:
            self._crowded()
        except _StoppedError:
            pass
        else:
            return node
        return None

    def _batches(self) -> Iterator[Iterator[Event]]:
        """The events; they end early where too many stand in too little text."""
        events = iter(self._parser.get_event, None)
        yield islice(events, limits.EVENTS)
        filled = limits.BATCH * limits.CHARACTERS_PER_EVENT
        while True:
            before = self._parser.peek_event().start_mark.index
            yield islice(events, limits.BATCH)
            if self._parser.peek_event().start_mark.index - before < filled:
                return

    def _crowded(self) -> None:
        message = "more values than a written spec could hold in so little text"
        self.findings.append(finding("too-large", self._at(self._parser.peek_event()), message))

    def _node(self, event: Event) -> Node:
        kind = type(event)
        if kind is AliasEvent:
            return self._alias(event)
        if self._plain:
            return self._scalar(event) if kind is ScalarEvent else self._container(event)
        if event.tag is not None:
            tag = brief(event.tag.replace("tag:yaml.org,2002:", "!!"))
            self._report("yaml-feature-refused", event, f"the tag `{tag}` is refused", fix=_UNTAG)
        name = event.anchor
        if name is not None:
            self._open(name, event)
        node = self._scalar(event) if kind is ScalarEvent else self._container(event)
        if name is not None:
            self._anchors.close(name, node)
        return node

    def _container(self, event: Event) -> Node:
        self._depth += 1
        if self._depth > limits.DEPTH:
            self._stop("too-large", event, f"more than {limits.DEPTH} levels of nesting")
        node = self._mapping(event) if type(event) is MappingStartEvent else self._sequence(event)
        self._depth -= 1
        return node

    def _mapping(self, start: Event) -> dict[str, Node]:
        following = self._next
        node: dict[str, Node] = {}
        places = [start.start_mark.index]
        while type(event := following()) is not MappingEndEvent:
            key = self._key(event)
            value_event = following()
            value = self._node(value_event)
            if key is None:
                continue
            if key in node:
                self._duplicate(key, event, places[1 + 2 * list(node).index(key)])
                continue
            node[key] = value
            places += event.start_mark.index, value_event.start_mark.index
        self._positions.remember(node, places)
        return node

    def _sequence(self, start: Event) -> list[Node]:
        following = self._next
        node: list[Node] = []
        places = [start.start_mark.index]
        while type(event := following()) is not SequenceEndEvent:
            places.append(event.start_mark.index)
            node.append(self._node(event))
        self._positions.remember(node, places)
        return node

    def _scalar(self, event: Event) -> str | None:
        value: str = event.value
        if value in _NULLS and not event.style:
            return None
        if not self._plain or len(value) > limits.TEXT_CHARACTERS:
            self._check_text(event)
        return self._shared.setdefault(value, value)

    def _check_text(self, event: Event) -> None:
        if len(event.value) > limits.TEXT_CHARACTERS:
            self._report("too-large", event, f"a text of more than {limits.TEXT_CHARACTERS:,} characters")
        # The file itself holds none, but an escape may make one.
        unshown = unshown_in(event.value) if event.style == '"' else None
        if unshown:
            self._report(
                "hidden-character",
                event,
                f"an escape makes {name_of(unshown[0])}, which has no place in a spec",
            )

    def _key(self, event: Event) -> str | None:
        """The key, or None where it is refused."""
        if type(event) is not ScalarEvent:
            self._node(event)
            start = event.start_mark.index
            fix = _TEMPLATE if self._text[max(0, start - 1) : start + 1] == "{{" else ""
            self._report("yaml-feature-refused", event, "a key must be written out as text", fix=fix)
            return None
        key: str = event.value
        if not event.style:
            if key == "<<":
                self._report(
                    "yaml-feature-refused",
                    event,
                    "the merge key `<<` is refused: it hides where a value comes from",
                )
                return None
            if not key:
                self._report("yaml-syntax", event, "a key is missing before the `:`")
                return None
        if not self._plain or len(key) > limits.TEXT_CHARACTERS:
            self._node(event)
        return self._shared.setdefault(key, key)

    def _alias(self, event: Event) -> Node:
        node, problem = self._anchors.expand(event.anchor, self._depth)
        if problem is not None:
            slug, message = problem
            if slug == "too-large":
                self._stop(slug, event, message)
            self._report(slug, event, message)
        return node

    def _open(self, name: str, event: Event) -> None:
        at = self._at(event)
        before = self._anchors.open(name, at)
        if before is not None:
            related = (Related(before, "the first one"),)
            message = f"a second anchor is called `{brief(name)}`"
            self._report("yaml-feature-refused", event, message, related, "Give it another name.")

    def _duplicate(self, key: str, event: Event, before: int) -> None:
        column = before - self._text.rfind("\n", 0, before)
        first = Position(self._file, self._text.count("\n", 0, before) + 1, column)
        related = (Related(first, "the first one"),)
        self._report("duplicate-key", event, f"`{brief(key)}` is written twice in one mapping", related)

    def _at(self, event: Event) -> Position:
        mark = event.start_mark
        return Position(self._file, mark.line + 1, mark.column + 1)

    def _report(
        self, slug: str, event: Event, message: str, related: tuple[Related, ...] = (), fix: str = ""
    ) -> None:
        at = self._at(event)
        self.findings.append(finding(slug, at, message, related=related, fix=fix))
        if len(self.findings) >= limits.FAULTS:
            self.findings.append(
                finding("too-large", at, f"{limits.FAULTS} faults in one file; the rest of it was not read")
            )
            raise _StoppedError

    def _stop(self, slug: str, event: Event, message: str) -> None:
        self.findings.append(finding(slug, self._at(event), message))
        raise _StoppedError
