"""`meshctl lint`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshctl.cli import findings, options
from meshctl.cli.findings import FailOn, Format
from meshctl.diagnostics import UsageError

if TYPE_CHECKING:
    from meshctl.pipeline.linting import Verdict


Policies = Annotated[
    Path | None,
    typer.Option("--policies", help="A folder with policies of your own.", show_default=False),
]
Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="Which rules, and how grave: default, strict, fallacies, minimal, or one of your own.",
        show_default=False,
    ),
]
Baseline = Annotated[
    Path | None,
    typer.Option(
        "--baseline", metavar="FILE", help="Hold back the findings that this file holds.", show_default=False
    ),
]
UpdateBaseline = Annotated[
    bool, typer.Option("--update-baseline", help="Write today's findings into that file first.")
]


def register(app: typer.Typer, text: str) -> None:
    """Add the command."""
    app.command("lint", help=f"Lint: {text}")(lint)


def lint(
    spec: options.Spec = None,
    env: options.Environment = None,
    policies: Policies = None,
    profile: Profile = None,
    baseline: Baseline = None,
    update_baseline: UpdateBaseline = False,
    form: options.FormatOption = Format.TEXT,
    fail_on: options.FailOnOption = FailOn.ERROR,
) -> int:
    """What `validate` finds, and what the policies do."""
    from meshctl import pipeline

    if update_baseline and baseline is None:
        raise UsageError("--update-baseline needs --baseline FILE, the file that it writes")
    where = options.location(spec)
    linted = pipeline.lint(
        where,
        today=datetime.now(UTC).date(),
        environment=env,
        policies=policies,
        profile=profile,
        baseline=baseline,
        update_baseline=update_baseline,
    )
    absent = linted.baseline.absent if linted.baseline is not None else None
    findings.report(
        linted,
        form,
        "lint",
        where,
        fail_on=fail_on,
        policies=policies,
        verdicts=linted.verdicts,
        absent=absent,
    )
    sys.stderr.writelines(_told(each) for each in linted.verdicts)
    sys.stderr.write(f"{findings.outcome(linted)}\n")
    if linted.unreadable:
        return 2
    if update_baseline and not (linted.baseline is not None and linted.baseline.updated):
        sys.stderr.write("the baseline was not written: not every rule could be asked\n")
        return 1
    return findings.exit_code(linted.findings, fail_on)


def _told(verdict: Verdict) -> str:
    count = f"{verdict.findings} finding{'s' if verdict.findings > 1 else ''} against it"
    return f"{findings.printable(verdict.title)}: {count if verdict.findings else 'nothing against it'}\n"
