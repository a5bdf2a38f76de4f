"""For people: the line with a caret, what is wrong, why it matters, how to mend it, and where more is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from meshctl.cli.formats.context import Context, docs_link, one_line, printable
from meshctl.diagnostics import Finding, Position, Severity, merge_alike

_COLOURS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.INFO: "36"}

_LEFT, _SHOWN = 40, 72
"""How much of a line is shown, and how much of that before the place: 80 columns with the number of the line."""


def render(findings: Sequence[Finding], context: Context) -> str:
    """The findings in their order; a reason, a way out or a link that was given is not given again.

    What a baseline holds back is only counted, in the summary.
    """
    told: set[str] = set()
    shown = (each for each in findings if not each.in_baseline)
    return "".join(_block(each, context, told) for each in merge_alike(shown))


def _block(finding: Finding, context: Context, told: set[str]) -> str:
    severity = finding.severity.value
    if context.colour:
        severity = f"\x1b[1;{_COLOURS[finding.severity]}m{severity}\x1b[0m"
    place = f"{finding.at}: " if finding.at else ""
    mark = " [*]" if context.fixable(finding) else ""
    lines = [f"{one_line(place)}{severity} {finding.code} {finding.slug}{mark}: {one_line(finding.message)}"]
    if finding.waived:
        lines.append(f"    waived: {one_line(finding.waived)}")
        return "\n".join(lines) + "\n"
    lines += excerpt(finding.at, context.texts)
    lines += [f"    {one_line(str(each.at))}: {one_line(each.message)}" for each in finding.related]
    for label, text in (("why", finding.why), ("fix", finding.fix), ("docs", docs_link(finding.code))):
        if text and text not in told:
            lines.append(f"    {label}: {one_line(text)}")
            told.add(text)
    return "\n".join(lines) + "\n"


def excerpt(at: Position | None, texts: Mapping[str, str]) -> list[str]:
    """The line at a place with a caret under it; nothing where the file is not at hand."""
    text = texts.get(at.file) if at else None
    if at is None or text is None:
        return []
    source = _lines(text)
    if not 0 < at.line <= len(source):
        return []
    line = source[at.line - 1].rstrip("\r").replace("\t", " ")
    if "-----BEGIN" in line:
        # It may be a key, however it is spelt.
        return []
    start = max(0, at.column - _LEFT)
    shown = printable(line[start : start + _SHOWN])
    width = min(_width(line, at.column - 1), start + _SHOWN - at.column + 1)
    number = f"{at.line:5d} | "
    return [number + shown, " " * (len(number) - 2) + "| " + " " * (at.column - 1 - start) + "^" * width]


@lru_cache(maxsize=4)
def _lines(text: str) -> list[str]:
    # Not splitlines: a position counts line feeds only. Kept, for a large file may have thousands of findings.
    return text.split("\n")


def _width(line: str, start: int) -> int:
    end = start
    while end < len(line) and (line[end].isalnum() or line[end] in "-_./"):
        end += 1
    return max(1, min(end - start, 40))
