"""A commit on a line, as JSON, and what is said where the way back ends."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, assert_never

import typer

from meshctl.cli.formats.context import one_line

if TYPE_CHECKING:
    from meshctl.diagnostics import Position
    from meshctl.load.commits import Commit, End

_REVISION = re.compile(r"^[0-9a-f]{40,64}:")

Since = Annotated[
    str,
    typer.Option(
        "--since",
        metavar="REV|DATE",
        help="Only commits after this revision, or since this date (YYYY-MM-DD, UTC).",
        show_default=False,
    ),
]
Seconds = Annotated[
    int, typer.Option("--seconds", min=1, metavar="S", help="When to stop looking at older commits.")
]
SpecOption = Annotated[
    str | None,
    typer.Option(
        "--spec",
        help="A file, a folder, or REV:path. Default: mesh.yaml or mesh/ here.",
        show_default=False,
    ),
]


def until(seconds: int) -> Callable[[], bool]:
    """Tells whether so many seconds are over."""
    ends = time.monotonic() + seconds
    return lambda: time.monotonic() > ends


def line(commit: Commit) -> str:
    """Who did it, when and why, on one line."""
    merge = " (merge)" if commit.merge else ""
    return f"{head(commit)}{merge}: {one_line(commit.subject)}"


def head(commit: Commit) -> str:
    """Its number, its day (UTC) and its author."""
    return f"{commit.short} {commit.written:%Y-%m-%d} {one_line(commit.author)}"


def as_json(commit: Commit) -> dict[str, object]:
    """All of it, as git has it."""
    return {
        "id": commit.id,
        "short": commit.short,
        "merge": commit.merge,
        "author": {"name": commit.author, "email": commit.email},
        "written": f"{commit.written:%Y-%m-%dT%H:%M:%SZ}",
        "committed": f"{commit.committed:%Y-%m-%dT%H:%M:%SZ}",
        "subject": commit.subject,
        "spec": path_in(commit.location),
        "specBefore": path_in(commit.before),
    }


def path_in(location: str) -> str | None:
    """The path in a `REV:path`."""
    return (location.partition(":")[2] or ".") if location else None


def place(at: Position) -> str:
    """The file and line, without the revision."""
    return f"{one_line(file_in(at) or '')}:{at.line}"


def file_in(at: Position | None) -> str | None:
    """The file of a place, without the revision; None where there is no place."""
    if at is None:
        return None
    return _REVISION.sub("", at.file)


def why_no_more(end: End, last: Commit | None) -> str:
    """Why there are no older commits, and what to do about it; empty where there is nothing to say."""
    from meshctl.load.commits import MOST, MOVES, End

    match end:
        case End.BEGINNING:
            return ""
        case End.SHALLOW:
            at = f" at {last.short}" if last is not None else ""
            return f"this clone ends{at}; for what was before: `git fetch --unshallow`, or `fetch-depth: 0` in CI"
        case End.SINCE:
            return "older commits were left out by --since"
        case End.MANY:
            return f"only the newest {MOST:,} commits that changed the spec's files are looked at, and {MOVES} moves of it"
    assert_never(end)
