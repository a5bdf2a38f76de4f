"""`meshctl observe`."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from meshctl.cli import findings, options
from meshctl.cli.findings import Format

_SHOWN = 10


def register(app: typer.Typer, text: str) -> None:
    """Add the command."""
    app.command("observe", help=f"Observe: {text}")(observe)


def observe(
    spec: options.Spec = None,
    env: options.Environment = None,
    *,
    out: options.Out = Path("observability"),
) -> int:
    """Where Prometheus finds the sidecars, what it computes and when it calls somebody, and dashboards."""
    from meshctl import pipeline

    where = options.location(spec)
    validated = pipeline.validate(where, environment=env)
    if validated.mesh is None:
        findings.report(validated, Format.TEXT, "observe", where, to=sys.stderr)
        sys.stderr.write(f"{findings.outcome(validated)}; nothing was made\n")
        return 2 if validated.unreadable else 1
    artifacts, unreachable = pipeline.observe(validated)
    written = pipeline.write_observability(validated, artifacts, out)
    options.tell_paths(written, out, sys.stdout)
    sys.stdout.write(f"{options.counted(written)}\n")
    if unreachable:
        names = ", ".join(each.service for each in unreachable[:_SHOWN])
        more = f" and {len(unreachable) - _SHOWN} more" if len(unreachable) > _SHOWN else ""
        sys.stderr.write(
            f"no Prometheus elsewhere can reach the sidecars of {names}{more}: "
            "they need a `health` port, and `endpoints` or `discovery`\n"
        )
    return 0
