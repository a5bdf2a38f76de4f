"""`meshctl validate`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import typer

from meshctl.cache import answers
from meshctl.cli import findings, options, progress
from meshctl.cli.findings import FailOn, Format


def register(app: typer.Typer, text: str) -> None:
    """Add the command."""
    app.command("validate", help=f"Validate: {text}")(validate)


def validate(
    spec: options.Spec = None,
    env: options.Environment = None,
    form: options.FormatOption = Format.TEXT,
    fail_on: options.FailOnOption = FailOn.ERROR,
    proxy: options.ProxyOption = None,
    *,
    no_cache: options.NoCache = False,
) -> int:
    """All findings at once, in the order of their places."""
    from meshctl import pipeline

    where = options.location(spec)
    today = datetime.now(UTC).date()
    validated = progress.shown("validating")(pipeline.validate)(
        where, environment=env, proxy=proxy, today=today
    )
    text = findings.report(validated, form, "validate", where, fail_on=fail_on)
    services = len(validated.mesh.sidecars) if validated.mesh else 0
    told = f"{services} sidecar{'s' if services != 1 else ''}, " if validated.mesh else ""
    outcome = f"{told}{findings.outcome(validated)}\n"
    sys.stderr.write(outcome)
    code = 2 if validated.unreadable else findings.exit_code(validated.findings, fail_on)
    if question := answers.asked():
        question.keep(answers.Answer(code, ((1, text), (2, outcome))), day=today.isoformat())
    return code
