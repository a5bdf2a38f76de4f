"""`meshctl policy`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from meshctl.cli import findings


def register(app: typer.Typer, text: str) -> None:
    """Add the commands."""
    commands = typer.Typer(name="policy", help=f"Policies: {text}", no_args_is_help=True)
    commands.callback()(_policies)
    commands.command("test", help="Run the cases that policy files hold.")(run_cases)
    app.add_typer(commands)


def _policies() -> None:
    """Rules of `lint`."""


def run_cases(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]", help="A folder with policies; the built-in ones if left out.", show_default=False
        ),
    ] = None,
) -> int:
    """Whether each policy passes and fails what its own cases say."""
    from meshctl import pipeline

    tested = pipeline.run_policy_tests(folder)
    if tested.findings:
        findings.show(tested.findings, tested.texts)
    for each in tested.failed:
        place = f"{each.at}: " if each.at else ""
        sys.stdout.write(findings.printable(f"{place}{each.policy}, {each.name}: {each.message}") + "\n")
    sys.stderr.write(f"{tested.policies} policies, {tested.cases} cases, {len(tested.failed)} failed\n")
    if tested.unreadable:
        return 2
    return int(bool(tested.findings or tested.failed))
