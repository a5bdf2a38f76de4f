"""`meshctl who-can-reach`."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from meshctl.cli import options
from meshctl.cli.formats.context import json_text


class ReachFormat(StrEnum):
    """What `--format` takes here."""

    TEXT = "text"
    JSON = "json"


def register(app: typer.Typer, text: str) -> None:
    """Add the command."""
    app.command("who-can-reach", help=f"Who can reach: {text}")(who_can_reach)


def who_can_reach(
    *,
    target: Annotated[
        str, typer.Argument(metavar="SVC", help="A service, a gateway or an external.", show_default=False)
    ],
    spec: options.Spec = None,
    env: options.Environment = None,
    every: Annotated[
        bool, typer.Option("--all-paths", help="Every way, not the shortest of each caller alone.")
    ] = False,
    form: Annotated[ReachFormat, typer.Option("--format", help="How it is printed.")] = ReachFormat.TEXT,
) -> int:
    """Everybody who can reach a service: direct callers and those behind them, and what permits each call."""
    from meshctl import pipeline
    from meshctl.cli import reach_json, reach_text

    found = pipeline.who_can_reach(options.location(spec), target, environment=env, all_ways=every)
    if form is ReachFormat.JSON:
        sys.stdout.write(json_text(reach_json.document(found)))
    else:
        sys.stdout.writelines(f"{each}\n" for each in reach_text.told(found))
    return 0
