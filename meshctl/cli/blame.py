"""`meshctl blame`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from meshctl.cli import commits, options
from meshctl.cli.formats.context import json_text, one_line

if TYPE_CHECKING:
    from meshctl.pipeline.blame import Blame, Blamed

SCHEMA_VERSION = 1
_UNCOMMITTED = "not committed yet"
_OLDER = "older"


class BlameFormat(StrEnum):
    """What `--format` takes here."""

    TEXT = "text"
    JSON = "json"


def register(app: typer.Typer, text: str) -> None:
    """Add the command."""
    app.command("blame", help=f"Blame: {text}")(blame)


def blame(
    what: Annotated[
        str,
        typer.Argument(
            metavar="SVC[/ROUTE]", help="A service, one of its routes, or SVC/allow or SVC/deny: its rules."
        ),
    ],
    spec: commits.SpecOption = None,
    env: options.Environment = None,
    since: commits.Since = "",
    seconds: commits.Seconds = 60,
    form: Annotated[BlameFormat, typer.Option("--format", help="How it is printed.")] = BlameFormat.TEXT,
) -> int:
    """Which commit last changed each setting: past renames and moves, whatever the layout of the file."""
    from meshctl import pipeline

    service, _, part = what.partition("/")
    found = pipeline.blame(
        options.location(spec),
        service,
        part,
        environment=env,
        since=since,
        enough=commits.until(seconds),
    )
    if form is BlameFormat.JSON:
        sys.stdout.write(json_text(_document(what, found)))
        return 0
    sys.stdout.writelines(f"{each}\n" for each in _text(found))
    for each in _rest(found, seconds):
        sys.stderr.write(f"{each}\n")
    return 0


def _rest(found: Blame, seconds: int) -> Iterator[str]:
    from meshctl.pipeline.blame import Origin

    if not any(each.origin is Origin.OLDER for each in found.settings):
        return
    told = commits.why_no_more(found.end, found.last) if found.end is not None else ""
    yield f"{_OLDER}: {told or f'time was up; go on with --seconds {seconds * 2}'}"


def _text(found: Blame) -> Iterator[str]:
    """A line for each setting, then the commits with their subjects, newest first."""
    rows = [(_who(each), _place(each), _setting(each)) for each in found.settings]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for who, place, setting in rows:
        yield f"{who:{widths[0]}}  {place:{widths[1]}}  {setting}".rstrip()
    if found.commits:
        yield ""
    for commit, merged in found.commits:
        yield commits.line(commit)
        yield from (f"    brings {commits.line(each)}" for each in merged)


def _who(each: Blamed) -> str:
    from meshctl.pipeline.blame import Origin

    if each.commit is not None:
        return commits.head(each.commit)
    return _UNCOMMITTED if each.origin is Origin.UNCOMMITTED else _OLDER


def _place(each: Blamed) -> str:
    return commits.place(each.row.at) if each.row.at is not None else "default"


def _setting(each: Blamed) -> str:
    return one_line(f"{each.row.name}: {each.row.value}" if each.row.value else each.row.name)


def _document(what: str, found: Blame) -> dict[str, object]:
    return {
        "schemaVersion": SCHEMA_VERSION,
        "what": what,
        "settings": [
            {
                "setting": each.row.name,
                "value": each.row.value,
                "file": commits.file_in(each.row.at),
                "line": each.row.at.line if each.row.at else None,
                "inherited": each.row.inherited,
                "origin": each.origin.value,
                "commit": each.commit.id if each.commit is not None else None,
            }
            for each in found.settings
        ],
        "commits": [
            {**commits.as_json(commit), "merged": [commits.as_json(each) for each in merged]}
            for commit, merged in found.commits
        ],
        "end": found.end.value if found.end is not None else None,
    }
