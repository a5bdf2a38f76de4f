"""`meshctl capabilities`."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from meshctl.cli import options
from meshctl.diagnostics import UsageError


class TableFormat(StrEnum):
    """What `--format` takes here."""

    TEXT = "text"
    JSON = "json"


def register(app: typer.Typer, text: str) -> None:
    """Add the command."""
    app.command("capabilities", help=f"Capabilities: {text}")(capabilities)


def capabilities(
    spec: options.Spec = None,
    env: options.Environment = None,
    form: Annotated[
        TableFormat, typer.Option("--format", help="How the table is printed.")
    ] = TableFormat.TEXT,
) -> int:
    """The table of features by proxy; with a SPEC, what this mesh uses of it."""
    from meshctl import pipeline

    if env is not None and spec is None:
        raise UsageError("without a SPEC this is the table of all features; --env has nothing to change")
    rows = pipeline.capabilities(spec, env)
    if form is TableFormat.JSON:
        import orjson

        document = {"schemaVersion": 1, "features": rows}
        sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")
        return 0
    _print_table(rows)
    return 0


def _print_table(rows: list[dict[str, object]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("feature", *_proxies(rows), title="What each proxy can do", box=None)
    notes = []
    for row in rows:
        cells = []
        for proxy in _proxies(rows):
            cell = row[proxy]
            if not isinstance(cell, dict):
                continue
            cells.append(str(cell["kind"]))
            if cell["kind"] != "native":
                notes.append(f"{row['feature']} on {proxy}: {cell.get('how') or cell.get('why')}")
        table.add_row(str(row["feature"]), *cells)
    console = Console(file=sys.stdout)
    console.print(table)
    for note in notes:
        console.print(f"  {note}", markup=False, highlight=False, soft_wrap=True)


def _proxies(rows: list[dict[str, object]]) -> list[str]:
    return [key for key in rows[0] if key not in ("feature", "used")] if rows else []
