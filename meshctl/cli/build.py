"""`meshctl build`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from meshctl.cli import findings, options, progress
from meshctl.cli.findings import Format

if TYPE_CHECKING:
    from meshctl.pipeline import Built


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
    *,
    form: options.FormatOption = Format.TEXT,
) -> int:
    """Validate, compile, verify, and write what changed; print it, or the findings for a machine."""
    from meshctl import pipeline

    where = options.location(spec)
    with progress.shown("validating"):
        validated = pipeline.validate(where, environment=env, proxy=proxy)
    # A document has standard output for itself.
    is_document = form is not Format.TEXT and emit is Emit.FILES
    findings.report(validated, form, "build", where, to=sys.stdout if is_document else sys.stderr)
    if validated.mesh is None:
        sys.stderr.write(f"{findings.outcome(validated)}; nothing was built\n")
        return 2 if validated.unreadable else 1
    if emit is Emit.IR:
        sys.stdout.write(pipeline.resolved_json(validated.mesh))
        return 0
    options.require_known(service or (), validated.mesh)
    authority = ca or _default_authority(where)
    with progress.shown("building"):
        built = pipeline.build(
            validated,
            out,
            now=datetime.now(UTC),
            services=tuple(service or ()),
            authority=authority,
            verify=verify.value,
        )
    _tell(built, out, to=sys.stderr if is_document else sys.stdout)
    if authority is None:
        _tell_of_certificates(f"{out}/{pipeline.IDENTITIES}")
    return 0


def _default_authority(spec: str) -> Path | None:
    folder = options.beside(spec) / options.CA_FOLDER
    return folder if folder.is_dir() else None


def _tell_of_certificates(identities: str) -> None:
    sys.stderr.write(
        "No CA is at hand, so no certificates were issued: run `meshctl certs init` once and build again, "
        f"or sign the identities in {identities} by your own means.\n"
    )


def _tell(built: Built, out: Path, to: TextIO) -> None:
    options.tell_paths(built.written, out, to)
    issued = sum(each.state.needs_certificate for each in built.issued)
    to.writelines(f"* {status.state.what} of {status.holder} ({status.state})\n" for status in built.issued)
    to.write(
        options.counted(built.written)
        + (f", {issued} certificates issued" if issued else "")
        + (f", {len(built.verified)} bundles verified" if built.verified else "")
        + "\n"
    )
    if built.unverified:
        sys.stderr.write(f"Not verified, for not installed here: {', '.join(built.unverified)}\n")
