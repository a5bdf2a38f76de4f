"""`meshctl apply`."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshctl.cli import findings, options
from meshctl.cli.formats.context import json_text
from meshctl.diagnostics import UsageError

if TYPE_CHECKING:
    from meshctl.pipeline import Outcome

SCHEMA_VERSION = 1


class ApplyFormat(StrEnum):
    """What `--format` takes here."""

    TEXT = "text"
    JSON = "json"


_Bundle = Annotated[
    Path | None,
    typer.Option(
        "--bundle", metavar="DIR", help="The folder that `meshctl build` wrote.", show_default=False
    ),
]
_Target = Annotated[
    Path, typer.Option("--to", parser=options.folder, metavar="DIR", help="Where this host's bundles are.")
]
_Services = Annotated[
    list[str] | None,
    typer.Option(
        "--service",
        metavar="SERVICE[/INSTANCE]",
        help="Only these, in this order. Default: what is in the target, callees first.",
        show_default=False,
    ),
]
_Certificates = Annotated[
    Path | None,
    typer.Option(
        "--certs",
        metavar="DIR",
        help="Bring the `tls` folders below it along. Default: the target keeps its own.",
        show_default=False,
    ),
]
_Restart = Annotated[
    str,
    typer.Option(
        "--restart",
        metavar="COMMAND",
        help="What ends a sidecar and starts it anew, for builds that no reload can bring.",
        show_default=False,
    ),
]


def register(app: typer.Typer, text: str) -> None:
    """Add the command."""
    app.command("apply", help=f"Apply: {text}")(apply)


def apply(
    bundle: _Bundle = None,
    to: _Target = Path("/srv/mesh"),
    service: _Services = None,
    certs: _Certificates = None,
    restart: _Restart = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, and change nothing.")] = False,
    recover: Annotated[
        bool, typer.Option("--recover", help="Only finish or undo an apply that was cut short.")
    ] = False,
    form: Annotated[ApplyFormat, typer.Option("--format", help="How it is printed.")] = ApplyFormat.TEXT,
) -> int:
    """Put a built bundle live on this host: check it, swap it in at once, reload, prove it, or roll back."""
    from meshctl import pipeline

    if recover == (bundle is not None):
        raise UsageError("name what to apply with --bundle DIR, or ask for --recover alone")
    command = _command(restart)
    told: list[Outcome] = []
    tell = told.append if form is ApplyFormat.JSON else _tell
    with options.stopped_by_signals():
        try:
            if bundle is None:
                outcomes = pipeline.recover(to, command, tell)
            else:
                wanted = pipeline.Wanted(bundle, to, service or (), certs, command, dry_run)
                outcomes = pipeline.apply(wanted, datetime.now(UTC), tell)
        except KeyboardInterrupt:
            _end(told, to, form)
            raise
    _end(outcomes, to, form)
    return max((each.state.exit_code for each in outcomes), default=0)


def _command(text: str) -> Sequence[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(f"the command of --restart cannot be read: {error}") from error


def _tell(outcome: Outcome) -> None:
    message = f": {outcome.message}" if outcome.message else ""
    sys.stdout.write(findings.printable(f"{outcome.bundle}  {outcome.state.value}{message}") + "\n")
    sys.stdout.flush()


def _end(outcomes: Iterable[Outcome], target: Path, form: ApplyFormat) -> None:
    counted = Counter(each.state.value for each in outcomes)
    if form is ApplyFormat.JSON:
        sys.stdout.write(_json(outcomes, target))
    elif counted:
        sys.stderr.write(f"{', '.join(f'{number} {state}' for state, number in counted.items())}\n")


def _json(outcomes: Iterable[Outcome], target: Path) -> str:
    document: dict[str, object] = {
        "schemaVersion": SCHEMA_VERSION,
        "target": str(target),
        "bundles": [
            {
                "bundle": each.bundle,
                "state": each.state.value,
                "build": each.build or None,
                "before": each.before or None,
                "message": each.message,
            }
            for each in outcomes
        ],
        "summary": dict(sorted(Counter(each.state.value for each in outcomes).items())),
    }
    return json_text(document)
