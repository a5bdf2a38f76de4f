"""`meshctl validate`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import typer

from meshctl.cli import findings, options
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

    today = datetime.now(UTC).date()
    validated = pipeline.validate(options.location(spec), environment=env, proxy=proxy, today=today)
    findings.show(validated.findings, validated.texts, form)
    services = len(validated.mesh.sidecars) if validated.mesh else 0
    told = f"{services} sidecar{'s' if services != 1 else ''}, " if validated.mesh else ""
    waiting = "" if validated.spec else "; references and meaning were not checked"
    sys.stderr.write(f"{told}{findings.summary(validated.findings)}{waiting}\n")
    if validated.unreadable:
        return 2
    return findings.exit_code(validated.findings, fail_on)
