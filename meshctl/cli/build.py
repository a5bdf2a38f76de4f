"""`meshctl build`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshctl.cli import findings, options
from meshctl.diagnostics import UsageError

if TYPE_CHECKING:
    from meshctl.pipeline import Built

_SHOWN = 20


class Verify(StrEnum):
    """What `--verify` takes."""

    AUTO = "auto"
    ALL = "all"
    NONE = "none"


class Emit(StrEnum):
    """What `--emit` takes."""

    FILES = "files"
    IR = "ir"


def register(app: typer.Typer, text: str) -> None:
    """Add the command."""
    app.command("build", help=f"Build: {text}")(build)


def build(
    spec: options.Spec = None,
    env: options.Environment = None,
    out: options.Out = Path("build"),
    service: Annotated[
        list[str] | None, typer.Option("--service", help="Only this service's bundles.", show_default=False)
    ] = None,
    proxy: options.ProxyOption = None,
    ca: Annotated[
        Path | None,
        typer.Option("--ca", help="Issue certificates with the CA in this folder.", show_default=False),
    ] = None,
    verify: Annotated[
        Verify, typer.Option(help="Ask the proxies about changed outputs, all outputs, or none.")
    ] = Verify.AUTO,
    emit: Annotated[
        Emit, typer.Option(help="Write files, or print the resolved model as JSON.")
    ] = Emit.FILES,
) -> int:
    """Validate, compile, verify, and write what changed; print it."""
    from meshctl import pipeline

    where = options.location(spec)
    validated = pipeline.validate(where, environment=env, proxy=proxy)
    findings.show(validated.findings, validated.texts, "text", to=sys.stderr)
    if validated.mesh is None:
        sys.stderr.write(f"{findings.summary(validated.findings)}; nothing was built\n")
        return 2 if validated.unreadable else 1
    if emit is Emit.IR:
        sys.stdout.write(pipeline.resolved_json(validated.mesh))
        return 0
    unknown = sorted(set(service or ()) - {each.service for each in validated.mesh.sidecars})
    if unknown:
        raise UsageError(f"there is no service named {', '.join(unknown)} in the spec")
    default_ca = options.beside(where) / options.CA_FOLDER
    built = pipeline.build(
        validated,
        out,
        now=datetime.now(UTC),
        services=tuple(service or ()),
        authority=ca or (default_ca if default_ca.is_dir() else None),
        verify=verify.value,
    )
    _tell(built, out)
    if not ca and not default_ca.is_dir():
        sys.stderr.write(
            "No CA is at hand, so no certificates were issued: run `meshctl certs init` once and build again, "
            f"or sign the identities in {out}/{pipeline.IDENTITIES} by your own means.\n"
        )
    return 0


def _tell(built: Built, out: Path) -> None:
    written = built.written
    for sign, paths in (("+", written.created), ("~", written.updated), ("-", written.removed)):
        for path in paths[:_SHOWN]:
            sys.stdout.write(f"{sign} {out}/{path}\n")
        if len(paths) > _SHOWN:
            sys.stdout.write(f"{sign} … and {len(paths) - _SHOWN} more\n")
    for status in built.issued:
        sys.stdout.write(f"* certificate of {status.holder} ({status.state})\n")
    sys.stdout.write(
        f"{len(written.created)} created, {len(written.updated)} updated, {len(written.removed)} removed, "
        f"{written.unchanged} unchanged"
        + (f", {len(built.issued)} certificates issued" if built.issued else "")
        + (f", {len(built.verified)} bundles verified" if built.verified else "")
        + "\n"
    )
    if built.unverified:
        sys.stderr.write(f"Not verified, for not installed here: {', '.join(built.unverified)}\n")
