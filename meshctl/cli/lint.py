"""`meshctl lint`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshctl.cli import findings, options, sides
from meshctl.cli.findings import FailOn, Format

if TYPE_CHECKING:
    from meshctl.pipeline.linting import Verdict


def register(app: typer.Typer, text: str) -> None:
    """Add the command."""
    app.command("lint", help=f"Lint: {text}")(lint)


def lint(
    spec: options.Spec = None,
    env: options.Environment = None,
    policies: Annotated[
        Path | None,
        typer.Option("--policies", help="A folder with policies of your own.", show_default=False),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="NAME",
            help="Which rules, and how grave: default, strict, fallacies, minimal, or one of your own.",
            show_default=False,
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="REF",
            help="Also what changes from there: a git revision, or the spec before in a file or a folder.",
            show_default=False,
        ),
    ] = None,
    form: options.FormatOption = Format.TEXT,
    fail_on: options.FailOnOption = FailOn.ERROR,
) -> int:
    """What `validate` finds, and what the policies do."""
    from meshctl import pipeline

    where = options.location(spec)
    today = datetime.now(UTC).date()
    before = pipeline.validate(sides.before(against, where), environment=env) if against is not None else None
    if before is not None and not sides.usable(before):
        return 2
    linted = pipeline.lint(
        where, today=today, environment=env, policies=policies, profile=profile, against=before
    )
    findings.report(linted, form, "lint", where, fail_on=fail_on, policies=policies, verdicts=linted.verdicts)
    sys.stderr.writelines(_told(each) for each in linted.verdicts)
    sys.stderr.write(f"{findings.outcome(linted)}\n")
    if linted.unreadable:
        return 2
    return findings.exit_code(linted.findings, fail_on)


def _told(verdict: Verdict) -> str:
    count = f"{verdict.findings} finding{'s' if verdict.findings > 1 else ''} against it"
    return f"{findings.printable(verdict.title)}: {count if verdict.findings else 'nothing against it'}\n"
