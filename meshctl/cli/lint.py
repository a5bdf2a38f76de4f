"""`meshctl lint`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshctl.cli import findings, options
from meshctl.cli.findings import FailOn, Format

if TYPE_CHECKING:
    from meshctl.pipeline.linting import Verdict


_WITH_FIXES = (Format.JSON, Format.SARIF)


def register(app: typer.Typer, text: str) -> None:
    """Add the command."""
    app.command("lint", help=f"Lint: {text}")(lint)


def lint(
    *,
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
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend what can be mended, in the files themselves.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Print what --fix would change as a patch, and change nothing.")
    ] = False,
    unsafe: Annotated[
        bool,
        typer.Option(
            "--unsafe-fixes", help="Also what may change what sidecars do: see `git diff` before you commit."
        ),
    ] = False,
    form: options.FormatOption = Format.TEXT,
    fail_on: options.FailOnOption = FailOn.ERROR,
) -> int:
    """What `validate` finds, and what the policies do."""
    from meshctl import pipeline
    from meshctl.cli import fix as fixing

    where = options.location(spec)
    question = pipeline.Question(where, datetime.now(UTC).date(), env, policies, profile)
    shown = partial(
        findings.report, form=form, command="lint", spec=where, fail_on=fail_on, policies=policies
    )
    if diff:
        return fixing.show_diff(pipeline.fix(question, unsafe=unsafe))
    if fix:
        fixed = pipeline.fix(question, unsafe=unsafe)
        pipeline.write_fixes(fixed)
        linted = fixed.linted
        shown(linted, verdicts=linted.verdicts)
        fixing.tell(fixed, "fixed")
    else:
        linted = question.ask(env, {})
        fixes = pipeline.offers(question, linted, unsafe=unsafe) if form in _WITH_FIXES else {}
        can = partial(fixing.fixable, unsafe=unsafe)
        shown(linted, verdicts=linted.verdicts, fixable=can, fixes=fixes)
        if form is Format.TEXT:
            fixing.tell_fixable(linted, unsafe=unsafe)
    sys.stderr.writelines(_told(each) for each in linted.verdicts)
    sys.stderr.write(f"{findings.outcome(linted)}\n")
    if linted.unreadable:
        return 2
    return findings.exit_code(linted.findings, fail_on)


def _told(verdict: Verdict) -> str:
    count = f"{verdict.findings} finding{'s' if verdict.findings > 1 else ''} against it"
    return f"{findings.printable(verdict.title)}: {count if verdict.findings else 'nothing against it'}\n"
