"""Findings in the formats that people and CI systems read. The exit code never depends on the format."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import TextIO

from meshctl.diagnostics import Finding, Position, Severity, merge_alike

SCHEMA_VERSION = 1
_COLOURS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.INFO: "36"}


class Format(StrEnum):
    """What `--format` takes."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


class FailOn(StrEnum):
    """What `--fail-on` takes."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    NEVER = "never"


def exit_code(findings: Iterable[Finding], fail_on: FailOn) -> int:
    """1 when a finding that is not waived is at least as grave as ``fail_on``; waived ones never count."""
    if fail_on is FailOn.NEVER:
        return 0
    threshold = Severity(fail_on.value)
    return int(any(each.severity.at_least(threshold) and not each.waived for each in findings))


def show(
    findings: Sequence[Finding], texts: Mapping[str, str], form: str, *, to: TextIO | None = None
) -> None:
    """Print findings to ``to`` (standard output where nothing else is said)."""
    out = to or sys.stdout
    match Format(form):
        case Format.TEXT:
            told: set[str] = set()
            for each in merge_alike(findings):
                out.write(_text(each, texts, told, colour=has_colour(out)))
        case Format.JSON:
            out.write(_json(findings))
        case Format.GITHUB:
            for each in findings:
                out.write(_github(each))


def summary(findings: Sequence[Finding]) -> str:
    """One line that counts, waived findings apart."""
    counts = Counter("waived" if each.waived else each.severity.value for each in findings)
    parts = [
        f"{counts[kind]} {kind}{'s' if counts[kind] != 1 and kind != 'waived' else ''}"
        for kind in ("error", "warning", "info", "waived")
        if counts[kind]
    ]
    return ", ".join(parts) or "no findings"


def printable(text: str) -> str:
    """``text`` with control characters shown as escapes, so that none reaches a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)


def _one_line(text: str) -> str:
    """``text`` on one line, so that a value of the user's cannot look like another finding."""
    return printable(text).replace("\n", "\\n")


def has_colour(out: TextIO) -> bool:
    """Whether ``out`` is a terminal whose user has not switched colours off."""
    import os

    return out.isatty() and not os.environ.get("NO_COLOR")


def _text(finding: Finding, texts: Mapping[str, str], told: set[str], *, colour: bool) -> str:
    """One finding. Reasons and ways out that are in ``told`` are not told again."""
    severity = finding.severity.value
    if colour:
        severity = f"\x1b[1;{_COLOURS[finding.severity]}m{severity}\x1b[0m"
    place = f"{finding.at}: " if finding.at else ""
    lines = [f"{_one_line(place)}{severity} {finding.code} {finding.slug}: {_one_line(finding.message)}"]
    if finding.waived:
        lines.append(f"    waived: {_one_line(finding.waived)}")
        return "\n".join(lines) + "\n"
    lines += _excerpt(finding.at, texts)
    lines += [f"    {related.at}: {_one_line(related.message)}" for related in finding.related]
    for label, text in (("why", finding.why), ("fix", finding.fix)):
        if text and text not in told:
            lines.append(f"    {label}: {_one_line(text)}")
            told.add(text)
    return "\n".join(lines) + "\n"


def _excerpt(at: Position | None, texts: Mapping[str, str]) -> list[str]:
    text = texts.get(at.file) if at else None
    if at is None or text is None:
        return []
    source = _lines(text)
    if not 0 < at.line <= len(source):
        return []
    line = source[at.line - 1].rstrip("\r").replace("\t", " ")
    start = max(0, at.column - 60)
    shown = printable(line[start : start + 100])
    width = _width(line, at.column - 1)
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


def _json(findings: Sequence[Finding]) -> str:
    import orjson

    document = {
        "schemaVersion": SCHEMA_VERSION,
        "findings": [_entry(each) for each in findings],
        "summary": {
            severity.value: sum(each.severity is severity and not each.waived for each in findings)
            for severity in Severity
        }
        | {"waived": sum(bool(each.waived) for each in findings)},
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"


def _entry(finding: Finding) -> dict[str, object]:
    return {
        "code": finding.code,
        "slug": finding.slug,
        "severity": finding.severity.value,
        "message": finding.message,
        "at": _place(finding.at),
        "why": finding.why,
        "fix": finding.fix,
        "related": [{"at": _place(each.at), "message": each.message} for each in finding.related],
        "waived": finding.waived,
    }


def _place(at: Position | None) -> dict[str, object] | None:
    return {"file": at.file, "line": at.line, "column": at.column} if at else None


def _github(finding: Finding) -> str:
    """A workflow command; see "Workflow commands for GitHub Actions", escaping of data and properties."""
    level = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}[finding.severity]
    if finding.waived:
        level = "notice"
    properties = {"title": f"{finding.code} {finding.slug}"}
    if finding.at:
        properties |= {
            "file": finding.at.file,
            "line": str(finding.at.line),
            "col": str(finding.at.column),
        }
    listed = ",".join(f"{key}={_escaped(value, ':,')}" for key, value in properties.items())
    waived = f" (waived: {finding.waived})" if finding.waived else ""
    return f"::{level} {listed}::{_escaped(f'{finding.message}{waived}. {finding.fix}')}\n"


def _escaped(text: str, more: str = "") -> str:
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return printable(text)
