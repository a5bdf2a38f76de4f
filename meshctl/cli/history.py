"""`meshctl history`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, assert_never

import typer

from meshctl.cli import commits, diff_json, diff_lines, findings, options
from meshctl.cli.formats.context import json_text, one_line

if TYPE_CHECKING:
    from meshctl.pipeline.history import Entry, History

SCHEMA_VERSION = 1
_COLOURS = {"+": "32", "-": "31", "~": "33", "!": "35"}
_SHOWN = 5
"""Parts of the spec that are named as the cause."""


class HistoryFormat(StrEnum):
    """What `--format` takes here."""

    TEXT = "text"
    JSON = "json"


def register(app: typer.Typer, text: str) -> None:
    """Add the command."""
    app.command("history", help=f"History: {text}")(history)


def history(
    service: Annotated[str, typer.Argument(metavar="SVC", help="A service, an external or a gateway.")],
    spec: commits.SpecOption = None,
    env: options.Environment = None,
    since: commits.Since = "",
    number: Annotated[int, typer.Option("-n", min=1, metavar="N", help="How many commits are shown.")] = 20,
    seconds: commits.Seconds = 60,
    form: Annotated[HistoryFormat, typer.Option("--format", help="How it is printed.")] = HistoryFormat.TEXT,
) -> int:
    """Who changed what about a service, when: newest first, along first parents, past renames."""
    from meshctl import pipeline

    over = commits.until(seconds)
    shown: list[Entry] = []
    found = pipeline.history(
        options.location(spec),
        service,
        environment=env,
        since=since,
        enough=lambda: len(shown) >= number or over(),
    )
    for entry in found.entries:
        shown.append(entry)
        if form is HistoryFormat.TEXT:
            sys.stdout.writelines(f"{_coloured(each)}\n" for each in _text(entry))
            sys.stdout.flush()
    rest = _rest(found, len(shown), number, seconds)
    if form is HistoryFormat.JSON:
        sys.stdout.write(json_text(_document(service, shown, found, rest)))
    else:
        sys.stderr.write(f"{rest}\n")
    return 0


def _rest(found: History, shown: int, number: int, seconds: int) -> str:
    """How far back was looked, and what to do to see more."""
    counted = f"{found.looked_at} of {found.of} commits looked at"
    if found.end is not None:
        told = commits.why_no_more(found.end, found.last)
        return f"{counted}; {told}" if told else f"{counted}, back to the beginning"
    more = f"-n {number * 2}" if shown >= number else f"--seconds {seconds * 2}"
    return f"{counted}; for older ones: {more}"


def _text(entry: Entry) -> Iterator[str]:
    yield commits.line(entry.commit)
    yield from (f"    brings {commits.line(each)}" for each in entry.merged)
    yield from (f"    {one_line(each)}" for each in _told(entry))
    if entry.elsewhere:
        told = [
            f"{each.path} ({commits.place(each.at)})" if each.at else each.path for each in entry.elsewhere
        ]
        more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        yield f"    because of: {one_line(', '.join(told[:_SHOWN]))}{more}"
    if entry.bridged:
        names = ", ".join(each.short for each in entry.bridged)
        yield f"    with what was done at {names}, where the spec was not valid"


def _told(entry: Entry) -> Iterator[str]:
    from meshctl.diff import merge_alike
    from meshctl.pipeline.history import Kind

    name = entry.service
    match entry.kind:
        case Kind.ADDED:
            yield f"+ {name} is new"
        case Kind.REMOVED:
            yield f"- {name} is gone"
        case Kind.INVALID:
            first, *more = entry.findings
            place = f"{commits.place(first.at)}: " if first.at else ""
            yield f"not valid here: {place}{first.message}{f' (and {len(more)} more)' if more else ''}"
        case Kind.CHANGED | Kind.RENAMED:
            if entry.formerly:
                yield f"~ {entry.formerly}, now named {name}"
            changes = diff_lines.tree(merge_alike(entry.changes))
            lines = (*changes, *map(diff_lines.consequence, entry.consequences))
            yield from (f"{'    ' * each.depth}{each.sign or '!'} {each.text}" for each in lines)
        case _:
            assert_never(entry.kind)


def _coloured(line: str) -> str:
    if not findings.has_colour(sys.stdout):
        return line
    colour = _COLOURS.get(line.lstrip()[:1]) if line.startswith(" ") else "1"
    return f"\x1b[{colour}m{line}\x1b[0m" if colour else line


def _document(service: str, shown: list[Entry], found: History, rest: str) -> dict[str, object]:
    return {
        "schemaVersion": SCHEMA_VERSION,
        "service": service,
        "commits": [_entry(each) for each in shown],
        "lookedAt": found.looked_at,
        "of": found.of,
        "end": found.end.value if found.end is not None else None,
        "rest": rest,
    }


def _entry(entry: Entry) -> dict[str, object]:
    return {
        **commits.as_json(entry.commit),
        "kind": entry.kind.value,
        "merged": [commits.as_json(each) for each in entry.merged],
        "service": entry.service,
        "formerly": entry.formerly or None,
        "changes": [diff_json.change(each) for each in entry.changes],
        "consequences": [
            {"effect": each.effect.value, "services": list(each.services), "text": each.text}
            for each in entry.consequences
        ],
        "text": list(_told(entry)),
        "becauseOf": [
            {
                "path": each.path,
                "file": commits.file_in(each.at),
                "line": each.at.line if each.at else None,
            }
            for each in entry.elsewhere
        ],
        "errors": len(entry.findings),
        "bridged": [each.id for each in entry.bridged],
    }
