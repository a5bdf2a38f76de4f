"""`meshctl diff`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meshctl.cli import findings, options, reach_json, sides

if TYPE_CHECKING:
    from meshctl.diff import Change, FileChange, MeshDiff
    from meshctl.ir.change import MeshChange, Opened

SCHEMA_VERSION = 1
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_COLOURS = {"+": "32", "-": "31", "~": "33", "@": "36"}


class DiffFormat(StrEnum):
    """What `--format` takes here."""

    TEXT = "text"
    JSON = "json"


def register(app: typer.Typer, text: str) -> None:
    """Add the command."""
    app.command("diff", help=f"Diff: {text}")(diff)


def diff(
    base: Annotated[
        str, typer.Argument(metavar="[BASE]", help="The git revision before.", show_default="HEAD")
    ] = "HEAD",
    head: Annotated[
        str | None,
        typer.Argument(
            metavar="[HEAD]", help="The revision after; the work tree if left out.", show_default=False
        ),
    ] = None,
    spec: Annotated[
        str | None,
        typer.Option(
            "--spec", help="A file or a folder. Default: mesh.yaml or mesh/ here.", show_default=False
        ),
    ] = None,
    env: options.Environment = None,
    rendered: Annotated[bool, typer.Option("--rendered", help="Show the files that are built, too.")] = False,
    form: Annotated[DiffFormat, typer.Option("--format", help="How it is printed.")] = DiffFormat.TEXT,
) -> int:
    """What changes: services, routes, weights, timeouts, who can reach whom, and which sidecars."""
    from meshctl import pipeline

    where = options.location(spec)
    before = pipeline.validate(sides.revision(base, where), environment=env)
    after = pipeline.validate(sides.revision(head, where) if head else where, environment=env)
    if not sides.usable(before, after):
        return 2
    compared = pipeline.diff(before, after)
    change = pipeline.change_between(before.require(), after.require())
    files = pipeline.rendered_diff(before, after) if rendered else ()
    if form is DiffFormat.JSON:
        sys.stdout.write(_json(compared, change, files))
    else:
        for line in (*_text(compared, change), *_files(files)):
            sys.stdout.write(_coloured(findings.printable(line)) + "\n")
        sys.stderr.write(f"{summary(compared)}\n")
    return int(compared.differs)


def _text(compared: MeshDiff, made: MeshChange) -> Iterator[str]:
    from meshctl.diff import merge_alike

    for change in compared.changes:
        yield from _tree(replace(change, changes=merge_alike(change.changes)), "")
    if compared.sidecars:
        yield "sidecars to deploy:"
        for change in compared.sidecars:
            yield f"  {_SIGNS[change.sign]} {change.name}"
    if made.opened or made.closed:
        yield "who is let in:"
        yield from (f"  + {each.words}" for each in made.opened)
        yield from (f"  - `{caller}` reaches `{callee}` no more" for caller, callee in made.closed)
    if compared.order:
        yield "safe order:"
        yield from (f"  {number}. {step}" for number, step in enumerate(compared.order, start=1))


def _tree(change: Change, indent: str) -> Iterator[str]:
    name = f" {change.name}" if change.name else ""
    values = " -> ".join(each for each in (change.before, change.after) if each)
    told = f": {values}" if values else ""
    yield f"{indent}{_SIGNS[change.sign]} {change.what}{name}{told}"
    for each in change.changes:
        yield from _tree(each, f"{indent}    ")


def _files(files: Iterable[FileChange]) -> Iterator[str]:
    for file in files:
        yield ""
        yield from file.lines


def _coloured(line: str) -> str:
    colour = _COLOURS.get(line.lstrip()[:1])
    return f"\x1b[{colour}m{line}\x1b[0m" if colour and findings.has_colour(sys.stdout) else line


def summary(compared: MeshDiff) -> str:
    """The change in one line."""
    if not compared.differs:
        return "no change"
    services = [each.sign for each in compared.changes if each.what == "service"]
    counted = ", ".join(f"{services.count(sign)} {sign}" for sign in dict.fromkeys(services))
    reach = (
        f"{len(compared.reach_added)} new and {len(compared.reach_removed)} former pairs of caller and callee"
    )
    return f"services: {counted or 'none'}; {len(compared.sidecars)} sidecars to deploy; {reach}"


def _json(compared: MeshDiff, made: MeshChange, files: Iterable[FileChange]) -> str:
    import orjson

    document: dict[str, Any] = {
        "schemaVersion": SCHEMA_VERSION,
        "differs": compared.differs,
        "changes": compared.changes,
        "sidecars": compared.sidecars,
        "reach": {
            "added": [{"caller": caller, "callee": callee} for caller, callee in compared.reach_added],
            "removed": [{"caller": caller, "callee": callee} for caller, callee in compared.reach_removed],
            "opened": [_opened(each) for each in made.opened],
            "closed": [{"caller": caller, "callee": callee} for caller, callee in made.closed],
        },
        "order": compared.order,
        "files": [
            {"path": file.path, "sign": file.sign, "diff": "".join(f"{line}\n" for line in file.lines)}
            for file in files
        ],
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"


def _opened(each: Opened) -> dict[str, object]:
    permission = each.permission
    return {
        "caller": each.caller,
        "callee": each.callee,
        "more": each.more,
        "called": each.called,
        "ground": permission.ground.value,
        "proved": permission.proved,
        "example": reach_json.example(permission),
        "text": each.words,
    }
