"""`meshctl diff`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, assert_never

import typer

from meshctl.cli import (
    diff_deployed,
    diff_limits,
    diff_options,
    diff_sides,
    findings,
    options,
    progress,
    sides,
)
from meshctl.cli.diff_limits import Exceeded, FailOn, Limits

if TYPE_CHECKING:
    from meshctl.diff import FileChange
    from meshctl.pipeline import Compared

_COLOURS = {"+": "32", "-": "31", "~": "33", "!": "33", "@": "36"}


class DiffFormat(StrEnum):
    """What `--format` takes here."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


def register(app: typer.Typer, text: str) -> None:
    """Add the command."""
    app.command("diff", help=f"Diff: {text}")(diff)


def diff(
    base: diff_options.Base = None,
    head: diff_options.Head = None,
    *,
    spec: diff_options.Spec = None,
    env: options.Environment = None,
    deployed: diff_options.Deployed = None,
    rendered: diff_options.Rendered = False,
    max_sidecars: diff_options.MaxSidecars = None,
    max_callers: diff_options.MaxCallers = None,
    fail_on: diff_options.FailsOn = FailOn.DIFFERENCE,
    form: Annotated[DiffFormat, typer.Option("--format", help="How it is printed.")] = DiffFormat.TEXT,
) -> int:
    """What changes: services, routes, weights, timeouts, who can reach whom, and which sidecars."""
    from meshctl import pipeline

    if deployed is not None:
        limits = Limits(max_sidecars, max_callers, fail_on)
        return _from_deployed(
            deployed, diff_deployed.after(base, head, spec, env), limits, form, rendered=rendered
        )
    one, other = diff_sides.revisions(base, head)
    with progress.shown("reading both sides"):
        found = diff_sides.read(one, other, spec, env)
    if not sides.usable(*(each for each in (found.before, found.after) if each is not None)):
        return 2
    with progress.shown("comparing"):
        compared = pipeline.compare(found.before, found.after)
        files = pipeline.rendered_diff(found.before, found.after) if rendered else ()
    over = tuple(diff_limits.exceeded(compared, max_sidecars, max_callers))
    _show(form, compared, files, over, found)
    return diff_limits.exit_code(compared, over, fail_on)


def _from_deployed(
    folder: Path, after: diff_deployed.After, limits: Limits, form: DiffFormat, *, rendered: bool
) -> int:
    from meshctl import pipeline
    from meshctl.cli import diff_json

    if not sides.usable(after.spec):
        return 2
    found = pipeline.deployed_spec(folder, after.spec, after.where)
    files = pipeline.deployed_files(found.root, after.spec) if rendered else ()
    differs = bool(found.bundles) and limits.fail_on is FailOn.DIFFERENCE
    if found.spec is None:
        diff_deployed.tell(found, files, limits, form.value)
        return int(differs)
    compared = pipeline.compare(found.spec, after.spec)
    over = tuple(diff_limits.exceeded(compared, limits.sidecars, limits.callers))
    if form is DiffFormat.JSON:
        change = diff_json.document(compared, (), over, None)
        sys.stdout.write(diff_deployed.document(found, files, change))
    else:
        _show(
            form, compared, files, over, diff_sides.Sides(found.spec, after.spec, diff_deployed.note(found))
        )
    return diff_limits.exit_code(compared, over, limits.fail_on) or int(differs)


def _show(
    form: DiffFormat,
    compared: Compared,
    files: Sequence[FileChange],
    over: Sequence[Exceeded],
    found: diff_sides.Sides,
) -> None:
    from meshctl.cli import diff_json, diff_lines, diff_markdown
    from meshctl.cli.formats.context import json_text

    match form:
        case DiffFormat.JSON:
            sys.stdout.write(json_text(diff_json.document(compared, files, over, found.missing)))
        case DiffFormat.MARKDOWN:
            sys.stdout.write(diff_markdown.render(compared, files, over, found.note))
        case DiffFormat.TEXT:
            for line in (*_lines(compared), *diff_lines.file_lines(files)):
                sys.stdout.write(_coloured(line) + "\n")
            if found.note:
                sys.stderr.write(f"{findings.printable(found.note)}\n")
            sys.stderr.write(f"{diff_lines.summary(compared)}\n")
        case _:
            assert_never(form)
    for each in diff_lines.exceeded(over):
        sys.stderr.write(f"error: {each}\n")


def _lines(compared: Compared) -> Iterator[str]:
    """In a terminal the changes need no title, and everything else stands below its own."""
    from meshctl.cli import diff_lines

    for each in diff_lines.sections(compared):
        titled = each.title != diff_lines.CHANGES
        if titled:
            yield f"{each.title}:"
        for line in each.lines:
            indent = "    " * line.depth + ("  " if titled else "")
            yield f"{indent}{line.sign}{' ' if line.sign else ''}{line.text}"


def _coloured(line: str) -> str:
    colour = _COLOURS.get(line.lstrip()[:1])
    return f"\x1b[{colour}m{line}\x1b[0m" if colour and findings.has_colour(sys.stdout) else line
