"""What `diff` tells people, in sections of lines, each line one thing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from meshctl.cli.formats.context import one_line

if TYPE_CHECKING:
    from meshctl.cli.diff_limits import Exceeded
    from meshctl.diff import Change, FileChange
    from meshctl.ir.change import Consequence
    from meshctl.pipeline import Compared

SIGNS = {"added": "+", "removed": "-", "changed": "~", "renamed": "~"}
MOST = 50
"""So many bundles, callers or consequences are told each by itself; `--format json` has them all."""

CHANGES = "what changes"
"""The title of the changes themselves."""

_NOTED = "!"


class Line(Struct, frozen=True):
    """One thing: `+`, `-`, `~`, `!` or nothing, and the words, printable and on one line."""

    sign: str
    text: str
    depth: int = 0


class Section(Struct, frozen=True):
    """Lines under a title, which the changes themselves have none of in a terminal."""

    title: str
    lines: tuple[Line, ...]


def sections(compared: Compared) -> Iterator[Section]:
    """What there is to tell, in the order in which somebody wants to know it."""
    diff = compared.diff
    yield from _section(CHANGES, tree(diff.changes))
    yield from _section("what follows", _most(tuple(map(consequence, diff.consequences))))
    yield from _section("sidecars to deploy", _most(tuple(_sidecar(each) for each in diff.sidecars)))
    yield from _section("who is let in", _reach(compared))
    steps = (Line("", f"{number}. {step}") for number, step in enumerate(diff.order, start=1))
    yield from _section("safe order", steps)


def tree(changes: Sequence[Change]) -> Iterator[Line]:
    """The changes and what is inside them."""
    from meshctl.diff import for_people

    for each in for_people(changes):
        yield from _tree(each, 0)


def file_lines(files: Sequence[FileChange]) -> Iterator[str]:
    """The unified diffs, one below the other."""
    for file in files:
        yield ""
        yield from map(one_line, file.lines)


def summary(compared: Compared) -> str:
    """What there is to do, in one line of numbers."""
    if not compared.diff.differs:
        return "no change"
    diff, change = compared.diff, compared.change
    new = {*diff.reach_added, *change.newly_called}
    former = {*diff.reach_removed, *change.closed}
    parts = (
        f"services: {services(compared)}",
        f"{counted(len(diff.sidecars), 'sidecar')} to deploy",
        f"{counted(len(change.callers), 'caller')} affected",
        f"{len(new)} new and {len(former)} former pairs of caller and callee",
    )
    return "; ".join(parts)


def services(compared: Compared) -> str:
    """How many services come, go and change."""
    signs = Counter(each.sign.value for each in compared.diff.changes if each.what == "service")
    renamed = f", {signs['renamed']} to rename" if signs["renamed"] else ""
    return f"{signs['added']} to add, {signs['changed']} to change{renamed}, {signs['removed']} to remove"


def counted(number: int, noun: str) -> str:
    """A number with its noun in the right form."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def exceeded(limits: Sequence[Exceeded]) -> Iterator[str]:
    """A sentence for each limit that the change is over."""
    for each in limits:
        yield f"{counted(each.found, each.what)} {each.verb}, more than the {each.allowed} of --max-{each.what}s"


def _section(title: str, lines: Iterable[Line]) -> Iterator[Section]:
    found = tuple(Line(each.sign, one_line(each.text), each.depth) for each in lines)
    if found:
        yield Section(title, found)


def _most(lines: Sequence[Line]) -> Sequence[Line]:
    if len(lines) <= MOST:
        return lines
    return (*lines[:MOST], Line("", f"… and {len(lines) - MOST:,} more, all of them with --format json"))


def _tree(change: Change, depth: int) -> Iterator[Line]:
    yield Line(SIGNS[change.sign], _words(change), depth)
    for each in change.changes:
        yield from _tree(each, depth + 1)


def _words(change: Change) -> str:
    if change.sign == "renamed":
        return f"{change.what} {change.before}, now named {change.after}"
    name = f" {change.name}" if change.name else ""
    of = f" ({change.of})" if change.of and not change.meaning else ""
    values = change.meaning or " -> ".join(each for each in (change.before, change.after) if each)
    return f"{change.what}{name}{of}{': ' if values else ''}{values}"


def consequence(each: Consequence) -> Line:
    """What follows, in a sentence."""
    return Line(_NOTED if each.needs_attention else "", each.text)


def _sidecar(change: Change) -> Line:
    alone = f" ({change.meaning})" if change.meaning else ""
    return Line(SIGNS[change.sign], f"{change.name}{alone}")


def _reach(compared: Compared) -> Iterator[Line]:
    change = compared.change
    yield from _most(tuple(Line("+", each.words) for each in change.opened))
    yield from _most(tuple(Line("+", each.words) for each in compared.ways))
    yield from _most(tuple(Line("-", each.words) for each in change.narrowed))
    yield from _most(
        tuple(
            Line("-", f"`{caller}` reaches `{callee}` directly no more") for caller, callee in change.closed
        )
    )
    yield from _most(
        tuple(
            Line("-", f"`{caller}` reaches `{callee}` through others no more")
            for caller, callee in compared.lost
        )
    )
