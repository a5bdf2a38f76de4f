"""`meshctl publish`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshctl.cli import findings, options
from meshctl.cli.build import Verify
from meshctl.cli.findings import Format
from meshctl.diagnostics import UsageError

if TYPE_CHECKING:
    from meshctl.pipeline import PublishedOutputs, Validated
    from meshctl.pipeline.publishing import Outputs

_Branch = Annotated[str, typer.Option("--branch", metavar="NAME", help="The branch; it holds nothing else.")]
_Environments = Annotated[
    list[str] | None,
    typer.Option(
        "--env",
        metavar="NAME",
        help="Merge environments/NAME.yaml over the spec. More than one: each in a folder of its name.",
        show_default=False,
    ),
]
_Path = Annotated[
    str | None,
    typer.Option(
        "--path", metavar="DIR", help="A folder of the branch, beside those of others.", show_default=False
    ),
]
_Remote = Annotated[str, typer.Option("--remote", metavar="NAME", help="Where to push.")]
_Push = Annotated[bool, typer.Option("--push", help="Push it, on top of what the remote has.")]
_Verify = Annotated[Verify, typer.Option(help="Ask the proxies about changed outputs, all outputs, or none.")]
_ForceOlder = Annotated[
    bool, typer.Option("--force-older", help="Also in place of what was built from a newer commit.")
]

_SHORT = 12


def register(app: typer.Typer, text: str) -> None:
    """Add the command."""
    app.command("publish", help=f"Publish: {text}")(publish)


def publish(
    spec: options.Spec = None,
    branch: _Branch = "rendered",
    env: _Environments = None,
    path: _Path = None,
    remote: _Remote = "origin",
    push: _Push = False,
    verify: _Verify = Verify.AUTO,
    force_older: _ForceOlder = False,
) -> int:
    """Build what is committed, and commit the outputs to a branch; the work tree and HEAD stay as they are."""
    from meshctl import pipeline

    folders = _folders(tuple(dict.fromkeys(env or ())), path)
    where = _location(spec)
    to = pipeline.published_branch(branch, remote, push=push, folders=folders)
    source = pipeline.published_source(where, remote)
    chosen = {
        folder: pipeline.validate(source.location, environment=name) for folder, name in folders.items()
    }
    for each in chosen.values():
        findings.report(each, Format.TEXT, "publish", where, to=sys.stderr)
    unusable = [each for each in chosen.values() if each.mesh is None]
    if unusable:
        sys.stderr.write(f"{findings.outcome(unusable[0])}; nothing was published\n")
        return 2 if any(each.unreadable for each in unusable) else 1
    with options.stopped_by_signals():
        done = pipeline.publish(
            chosen, source, to, now=datetime.now(UTC), verify=verify.value, force_older=force_older
        )
    _tell(done, branch, remote, source.commit)
    return 0


def _location(spec: str | None) -> str:
    try:
        return options.location(spec)
    except UsageError as error:
        raise UsageError(f"{error}, or in a bare repository `meshctl publish HEAD:mesh.yaml`") from None


def _folders(names: tuple[str, ...], path: str | None) -> dict[str, str | None]:
    """The environment for each folder of the branch; the empty one is its top."""
    if path == "":
        raise UsageError("--path is empty; name a folder of the branch")
    top = path or ""
    if len(names) < 2:
        return {top: names[0] if names else None}
    return {f"{top}/{name}" if top else name: name for name in names}


def _tell(done: PublishedOutputs, branch: str, remote: str, source: str) -> None:
    for each in done.outputs:
        _tell_change(each)
        options.tell_paths(each.written, Path(branch) / each.folder, sys.stdout)
    if done.verification.missing:
        sys.stderr.write(f"Not verified, for not installed here: {', '.join(done.verification.missing)}\n")
    place = f"{branch} at {remote}" if done.pushed else branch
    if done.commit == done.former:
        sys.stdout.write(f"{place}: {'pushed' if done.pushed else 'up to date'}, {done.commit[:_SHORT]}\n")
        return
    counts = "; ".join(
        f"{each.folder}: {options.counted(each.written)}" if each.folder else options.counted(each.written)
        for each in done.outputs
    )
    sys.stdout.write(f"{place}: {done.commit[:_SHORT]}, of {source[:_SHORT]}; {counts}\n")


def _tell_change(outputs: Outputs) -> None:
    """What it means, where the spec of before can be read here."""
    before: Validated | None = outputs.before
    if before is None or not outputs.written.changed:
        return
    from meshctl import pipeline
    from meshctl.cli import diff_lines

    compared = pipeline.compare(before, outputs.validated)
    folder = f"{outputs.folder}: " if outputs.folder else ""
    sys.stdout.write(f"{folder}{diff_lines.summary(compared)}\n")
