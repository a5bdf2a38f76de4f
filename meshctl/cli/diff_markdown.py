"""What `diff` tells, as the comment of a pull request.

Nothing of a spec stands outside of fenced blocks, whose fences are longer than any in them: so no text can be markup, a link or a
mention. A comment on GitHub holds 65,536 characters; what does not fit is left out, and the comment says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from meshctl.cli.diff_lines import Line, counted, exceeded, file_lines, sections, services

if TYPE_CHECKING:
    from meshctl.cli.diff_limits import Exceeded
    from meshctl.diff import FileChange
    from meshctl.pipeline import Compared

LIMIT = 65_536
"""Of a comment, in characters; counted in bytes here, which are never fewer."""

_LINE = 500
"""Characters of a line."""
_RESERVED = 600
"""Bytes for what is said of what is left out."""
_COLOURING = {"~": "!"}
"""What a `diff` block has for a change."""


def render(compared: Compared, files: Sequence[FileChange], over: Sequence[Exceeded], note: str = "") -> str:
    """The comment, which ends with a line end. ``note`` says which side has no spec."""
    if not compared.diff.differs and not note:
        return "### meshctl diff: no change\n"
    blocks = [(each.title, [_cut(_line(line)) for line in each.lines]) for each in sections(compared)]
    if files:
        blocks.append((f"files ({len(files)})", [_cut(each) for each in file_lines(files)][1:]))
    if note:
        blocks.insert(0, ("note", [_cut(note)]))
    parts = ["".join(f"{line}\n" for line in _head(compared, over))]
    left = LIMIT - _RESERVED - _size(parts[0])
    left_out = []
    for title, lines in blocks:
        block, shown = _block(title, lines, left)
        parts.append(block)
        left -= _size(block)
        if shown < len(lines):
            left_out.append(f"{len(lines) - shown:,} of {counted(len(lines), 'line')} of “{title}”")
    if left_out:
        parts.append(
            f"\n**Left out**, for a comment holds {LIMIT:,} characters: {', '.join(left_out)}. "
            "`meshctl diff` in a terminal tells all.\n"
        )
    return "".join(parts)


def _head(compared: Compared, over: Sequence[Exceeded]) -> Iterator[str]:
    diff, change = compared.diff, compared.change
    yield f"### meshctl diff: services: {services(compared)}"
    yield ""
    for each in exceeded(over):
        yield from (f"> :warning: {each}", "")
    yield from ("| what | how much |", "| --- | --- |")
    for what, much in (
        ("sidecars to deploy", len(diff.sidecars)),
        ("callers affected", len(change.callers)),
        ("let in newly", len(change.opened)),
        ("newly reached through others", len(compared.ways)),
        ("may do less", len(change.narrowed)),
        ("reached no more", len(change.closed) + len(compared.lost)),
        ("what follows", len(diff.consequences)),
        ("steps of a safe order", len(diff.order)),
    ):
        yield f"| {what} | {much:,} |"


def _line(line: Line) -> str:
    sign = _COLOURING.get(line.sign, line.sign)
    return f"{sign or ' '} {'    ' * line.depth}{line.text}"


def _cut(line: str) -> str:
    return line if len(line) <= _LINE else f"{line[:_LINE]}…"


def _block(title: str, lines: Sequence[str], limit: int) -> tuple[str, int]:
    """A folded block of at most ``limit`` bytes, and how many of the lines are in it; nothing where not even one is."""
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    before = f"\n<details><summary>{title}</summary>\n\n{fence}diff\n"
    after = f"{fence}\n\n</details>\n"
    left = limit - _size(before) - _size(after)
    shown = []
    for line in lines:
        left -= _size(line) + 1
        if left < 0:
            break
        shown.append(f"{line}\n")
    return (f"{before}{''.join(shown)}{after}", len(shown)) if shown else ("", 0)


def _size(text: str) -> int:
    return len(text.encode())
