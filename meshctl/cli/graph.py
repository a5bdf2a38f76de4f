"""`meshctl graph`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from meshctl.cli import options
from meshctl.diagnostics import UsageError
from meshctl.pipeline.graphing import Picture

_SUFFIXES: Mapping[str, Picture] = {
    ".mmd": Picture.MERMAID,
    ".mermaid": Picture.MERMAID,
    ".dot": Picture.DOT,
    ".gv": Picture.DOT,
    ".svg": Picture.SVG,
    ".html": Picture.HTML,
}


def register(app: typer.Typer, text: str) -> None:
    """Add the command."""
    app.command("graph", help=f"Graph: {text}")(graph)


def graph(
    spec: options.Spec = None,
    env: options.Environment = None,
    form: Annotated[
        Picture | None,
        typer.Option(
            "--format", help="What is drawn. Default: as FILE is called, else mermaid.", show_default=False
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "-o", "--out", metavar="FILE", help="Write it there, and print nothing.", show_default=False
        ),
    ] = None,
    service: Annotated[
        str | None,
        typer.Option(
            "--service", metavar="SVC", help="Only what its calls come from and lead to.", show_default=False
        ),
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option(
            "--group-by",
            metavar="KEY",
            help="owner, zone, proxy or a label. Default: html and svg of large meshes are grouped.",
            show_default=False,
        ),
    ] = None,
) -> int:
    """Who calls whom: a page to click through, a picture, or text that others draw."""
    from meshctl import pipeline
    from meshctl.artifacts import write_file

    drawn = form or _meant(out)
    found = pipeline.graph(
        options.location(spec), today=datetime.now(UTC).date(), environment=env, service=service
    )
    text = pipeline.draw(found, drawn, group_by)
    if out is None:
        sys.stdout.write(text)
        return 0
    write_file(Path(out), text.encode())
    sys.stderr.write(f"{out}: {_counted(len(found.nodes), 'node')}, {_counted(len(found.edges), 'call')}\n")
    return 0


def _meant(out: str | None) -> Picture:
    if out is None:
        return Picture.MERMAID
    if not out:
        raise UsageError("the name of the output file is empty")
    suffix = Path(out).suffix.lower()
    if suffix not in _SUFFIXES:
        raise UsageError(
            f"{out}: which format is that? Say `--format`, or call it one of {', '.join(_SUFFIXES)}"
        )
    return _SUFFIXES[suffix]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"
