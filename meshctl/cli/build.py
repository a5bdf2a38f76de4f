"""`meshctl build`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from meshctl.cache import answers, premises
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


Ca = Annotated[
    Path | None,
    typer.Option("--ca", help="Issue certificates with the CA in this folder.", show_default=False),
]
VerifyOption = Annotated[
    Verify, typer.Option("--verify", help="Ask the proxies about changed outputs, all outputs, or none.")
]
EmitOption = Annotated[Emit, typer.Option("--emit", help="Write files, or print the resolved model as JSON.")]


def register(app: typer.Typer, text: str) -> None:
    """Add the command."""
    app.command("build", help=f"Build: {text}")(build)


def build(
    spec: options.Spec = None,
    env: options.Environment = None,
    out: options.Out = Path("build"),
    service: options.Services = None,
    proxy: options.ProxyOption = None,
    ca: Ca = None,
    verify: VerifyOption = Verify.AUTO,
    emit: EmitOption = Emit.FILES,
    *,
    form: options.FormatOption = Format.TEXT,
    no_cache: options.NoCache = False,
) -> int:
    """Validate, compile, verify, and write what changed; print it, or the findings for a machine."""
    from meshctl import pipeline

    where = options.location(spec)
    validated = progress.shown("validating")(pipeline.validate)(where, environment=env, proxy=proxy)
    # A document has standard output for itself.
    is_document = form is not Format.TEXT and emit is Emit.FILES
    found = findings.report(validated, form, "build", where, to=sys.stdout if is_document else sys.stderr)
    if validated.mesh is None:
        sys.stderr.write(f"{findings.outcome(validated)}; nothing was built\n")
        return 2 if validated.unreadable else 1
    if emit is Emit.IR:
        sys.stdout.write(pipeline.resolved_json(validated.mesh))
        return 0
    options.require_known(service or (), validated.mesh)
    authority, question, chosen = ca or _default_authority(where), answers.asked(), tuple(service or ())
    now = datetime.now(UTC)
    built = progress.shown("building")(pipeline.build)(
        validated, out, now=now, services=chosen, authority=authority, verify=verify.value, question=question
    )
    _tell(built, out, to=sys.stderr if is_document else sys.stdout)
    if authority is not None:
        return 0
    advice = _about_certificates(f"{out}/{pipeline.IDENTITIES}")
    sys.stderr.write(advice)
    # What proxies say of outputs that did not change is asked again.
    if question and built.standing and verify is not Verify.ALL:
        premises.absent(str(_beside(where)))
        counted = f"{options.counted(built.written.again())}\n"
        said = ((1 if is_document else 2, found), (2 if is_document else 1, counted), (2, advice))
        question.keep(answers.Answer(0, said), out=str(out), standing=built.standing)
    return 0


def _beside(spec: str) -> Path:
    return options.beside(spec) / options.CA_FOLDER


def _default_authority(spec: str) -> Path | None:
    folder = _beside(spec)
    return folder if folder.is_dir() else None


def _about_certificates(identities: str) -> str:
    return (
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
