"""Edits of a YAML file that leave every other character, and every comment, as it is.

Of its text and not of a tree written anew: round-trip writers of YAML change indentation, quotes and line breaks
elsewhere (decision 0127). The outcome is read again and must be the old document with exactly these edits.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import assert_never

from msgspec import Struct

from meshctl.diagnostics import Edit, Remove, Rename
from meshctl.load.document import read_yaml
from meshctl.load.layout import Entry, Layout, Node
from meshctl.spec.source import Node as Plain

_PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


class EditRefusedError(Exception):
    """An edit that cannot be made without changing more; the message says why."""


class Change(Struct, frozen=True):
    """``text`` in place of the characters from ``begin`` to ``end``."""

    begin: int
    end: int
    text: str


def changes(text: str, edits: Iterable[Edit]) -> tuple[Change, ...]:
    """What ``edits`` change in ``text``, in its order. Raises EditRefusedError."""
    layout = Layout(text)
    chosen = [(each, _find(layout, each)) for each in dict.fromkeys(edits)]
    gone = _removed([entry for each, entry in chosen if isinstance(each, Remove)])
    made = _made(layout, chosen, gone)
    expected = [(each, _path(entry)) for each, entry in chosen]
    _prove(text, apply(text, made), expected, [_path(each) for each in gone])
    return made


def changes_of_each(text: str, edits: Iterable[Edit]) -> Iterator[tuple[Change, ...]]:
    """What each of ``edits``, for which :func:`changes` has proven that they go together, would change alone; nothing where it needs the others."""
    layout = Layout(text)
    for each in edits:
        try:
            entry = _find(layout, each)
            gone = _removed([entry]) if isinstance(each, Remove) else []
            yield _made(layout, [(each, entry)], gone)
        except EditRefusedError:
            yield ()


def _made(layout: Layout, chosen: Sequence[tuple[Edit, Entry]], gone: Sequence[Entry]) -> tuple[Change, ...]:
    found = list(_removals(layout, gone))
    for each, entry in chosen:
        match each:
            case Remove():
                pass
            case Rename(to=to):
                found.append(_rename(layout, entry, to))
            case _:
                assert_never(each)
    made = tuple(sorted(found, key=lambda each: (each.begin, each.end)))
    if any(one.end > other.begin for one, other in pairwise(made)):
        raise EditRefusedError("another fix changes the same place")
    return made


def apply(text: str, made: Iterable[Change]) -> str:
    """``text`` with these changes, which do not overlap and are in its order."""
    parts: list[str] = []
    last = 0
    for each in made:
        parts += text[last : each.begin], each.text
        last = each.end
    return "".join((*parts, text[last:]))


def _find(layout: Layout, edit: Edit) -> Entry:
    entry = layout.find(edit.part)
    if entry is None:
        raise EditRefusedError("it stands in another place")
    if layout.is_shared(entry):
        raise EditRefusedError("an alias repeats it elsewhere, where it would change, too")
    return entry


def _removed(asked: Sequence[Entry]) -> list[Entry]:
    """The entries to take out: what would be left empty goes itself, and nothing twice."""
    gone = dict.fromkeys(asked)
    fresh = list(gone)
    while fresh:
        emptied = dict.fromkeys(
            each.within for each in fresh if all(one in gone for one in each.within.entries)
        )
        if any(node.holder is None for node in emptied):
            raise EditRefusedError("nothing would be left of what it is in")
        fresh = [node.holder for node in emptied if node.holder is not None and node.holder not in gone]
        gone |= dict.fromkeys(fresh)
    return [each for each in gone if not any(around in gone for around in _around(each))]


def _around(entry: Entry) -> Iterator[Entry]:
    holder = entry.within.holder
    while holder is not None:
        yield holder
        holder = holder.within.holder


def _removals(layout: Layout, gone: Iterable[Entry]) -> Iterator[Change]:
    left = set(gone)
    for node in dict.fromkeys(each.within for each in left):
        first = 0
        for going, run in groupby(node.entries, left.__contains__):
            count = len(list(run))
            if going:
                yield from _remove(layout, node, first, first + count)
            first += count


def _remove(layout: Layout, node: Node, first: int, after: int) -> Iterator[Change]:
    """Take out a run of entries; there is one before or behind it."""
    entries = node.entries
    begin, end = entries[first].begin, entries[after - 1].node.end
    following = entries[after].begin if after < len(entries) else None
    start = layout.line_start(begin)
    if node.flow:
        behind = re.compile(r"[ \t]*,?").match(layout.text, end)
        stop = behind.end() if behind else end
        if not layout.text[start:begin].strip() and _ends_line(layout, stop):
            yield _cut_lines(layout, start, stop)
            return
        span = (begin, following) if following is not None else (entries[first - 1].node.end, end)
        yield _cut(layout, *span)
        return
    before = layout.text[start:begin].replace("\t", " ").strip(" ")
    if before == "-" and node.mapping and following is not None:
        # The next key takes the place of the first one behind the dash.
        yield _cut(layout, begin, following)
        return
    if before != ("" if node.mapping else "-"):
        raise EditRefusedError("it shares its line with something else")
    yield _cut_lines(layout, start, end)


def _cut(layout: Layout, begin: int, end: int) -> Change:
    if layout.comments_in(begin, end):
        raise EditRefusedError("a comment stands in between")
    return Change(begin, end, "")


def _cut_lines(layout: Layout, start: int, end: int) -> Change:
    """Take out whole lines; their comments stay, each on a line of its own."""
    text, last = layout.text, layout.line_end(end)
    comments = layout.comments_in(start, last)
    if not _ends_line(layout, end):
        raise EditRefusedError("it shares its line with something else")
    indent = text[start : len(text) - len(text[start:].lstrip(" "))]
    kept = layout.newline.join(indent + text[begin:stop] for begin, stop in comments)
    if kept:
        return Change(start, last, kept)
    following = text.find("\n", last) + 1
    if following:
        return Change(start, following, "")
    # The last line, which nothing ends: what ends the one before it goes.
    return Change(len(text[:start].removesuffix("\n").removesuffix("\r")), last, "")


def _ends_line(layout: Layout, index: int) -> bool:
    """Whether nothing but a comment stands from there to the end of the line."""
    last = layout.line_end(index)
    comments = layout.comments_in(index, last)
    return not layout.text[index : comments[0][0] if comments else last].strip()


def _rename(layout: Layout, entry: Entry, to: str) -> Change:
    written = layout.text[entry.begin : entry.key_end]
    if not entry.key or entry.key not in written or not _PLAIN_KEY.fullmatch(to):
        raise EditRefusedError("the key is written in a way that cannot be kept")
    return Change(entry.begin, entry.key_end, written.replace(entry.key, to))


Path = tuple[str | int, ...]


def _path(entry: Entry) -> Path:
    own = entry.key if entry.within.mapping else entry.within.entries.index(entry)
    return (*(_path(entry.within.holder) if entry.within.holder is not None else ()), own)


def _prove(text: str, made: str, edits: Sequence[tuple[Edit, Path]], gone: Sequence[Path]) -> None:
    """Raise unless ``made`` is the document of ``text`` with ``edits``, and has all its comments."""
    document = read_yaml(made.encode(), "")
    expected = copy.deepcopy(read_yaml(text.encode(), "").node)
    for path in sorted(gone, key=lambda each: [str(step).zfill(9) for step in each], reverse=True):
        del _at(expected, path[:-1])[path[-1]]
    for edit, path in sorted(edits, key=lambda each: -len(each[1])):
        if isinstance(edit, Rename):
            holder = _at(expected, path[:-1])
            renamed = [(edit.to if key == path[-1] else key, value) for key, value in holder.items()]
            holder.clear()
            holder.update(renamed)
    if document.findings or document.node != expected:
        raise EditRefusedError("the file would not read as it should afterwards")
    kept, before = Layout(made), Layout(text)
    if [kept.text[slice(*each)] for each in kept.comments] != [
        text[slice(*each)] for each in before.comments
    ]:
        raise EditRefusedError("a comment would be lost")


def _at(node: Plain, path: Path) -> Plain:
    for step in path:
        node = node[step]
    return node
