"""`meshctl validate`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import typer

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
) -> int:
    """All findings at once, in the order of their places."""
    from meshctl import pipeline

    where = options.location(spec)
    with progress.shown("validating"):
        validated = pipeline.validate(where, environment=env, proxy=proxy, today=datetime.now(UTC).date())
    findings.report(validated, form, "validate", where, fail_on=fail_on)
    services = len(validated.mesh.sidecars) if validated.mesh else 0
    told = f"{services} sidecar{'s' if services != 1 else ''}, " if validated.mesh else ""
    sys.stderr.write(f"{told}{findings.outcome(validated)}\n")
    if validated.unreadable:
        return 2
    return findings.exit_code(validated.findings, fail_on)
