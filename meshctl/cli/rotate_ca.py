"""`meshctl certs rotate-ca`: a new root, step by step."""

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
    from meshctl import pipeline
    from meshctl.pki.rotation import Rotation


class Step(StrEnum):
    """What `--step` takes."""

    BEGIN = "begin"
    ISSUE = "issue"
    FINISH = "finish"
    ABORT = "abort"


_DEPLOY = "Deploy the bundles' tls folders and reload every sidecar"

Build = Annotated[
    Path,
    typer.Option(
        "-o", "--out", parser=options.folder, metavar="DIR", help="The folder that `meshctl build` wrote."
    ),
]
StepOption = Annotated[
    Step | None,
    typer.Option(
        "--step",
        help="Take a step: begin (make a new CA, both roots into all bundles), issue (from the new CA), "
        "finish (drop the old root); abort goes back.",
        show_default=False,
    ),
]
Deployed = Annotated[
    list[Path] | None,
    typer.Option(
        "--deployed",
        metavar="DIR",
        help="Bundles as they are deployed, in folders as the build's; prove by their tls folders that the step before is everywhere.",
        show_default=False,
    ),
]
Live = Annotated[
    bool, typer.Option("--live", help="Prove it by a handshake with every running sidecar of the SPEC.")
]
Issuing = Annotated[
    bool, typer.Option("--issuing", help="Only renew the issuing CA for a year, with the root's key.")
]


def rotate_ca(
    spec: options.Spec = None,
    env: options.Environment = None,
    out: Build = Path("build"),
    ca: options.Authority = None,
    step: StepOption = None,
    deployed: Deployed = None,
    live: Live = False,
    issuing: Issuing = False,
) -> int:
    """Replace the mesh's root without turning anybody away; without a step say where it stands and what is next.

    A step is refused (exit code 1) until the one before is everywhere. One that broke off is taken again.
    """
    from meshctl import pipeline
    from meshctl.pki import rotation

    folder, now = ca or options.default_authority(spec), datetime.now(UTC)
    evidence = _evidence(spec, env, deployed or [], live=live)
    if issuing:
        if step or evidence:
            raise UsageError("--issuing is done at once: it takes no --step, --deployed or --live")
        renewed = pipeline.renew_issuing(folder, now)
        sys.stdout.write(
            f"renewed the issuing CA, until {options.moment(renewed.issuing_end)}\nNo certificate has to change. "
            "With `crl: true` run `certs issue` and deploy, for the root's list is new too.\n"
        )
        return 0
    if step is None:
        standing = pipeline.ca_standing(folder)
        sys.stdout.write(_standing(standing))
        if evidence:
            pipeline.check_rotation(out, folder, evidence, now)
            sys.stdout.write("The last step is everywhere.\n")
        return 0
    done = pipeline.rotate_ca(out, folder, rotation.Step(step), evidence, now)
    sys.stdout.write(_done(step, done))
    return 0


def told(rotation: Rotation | None) -> str:
    """A rotation that is under way, in a line, and what is next."""
    if rotation is None:
        return ""
    return f"The root is being rotated since {options.moment(rotation.began)}, from {rotation.old} to {rotation.new}, at `{rotation.step}`.\n{_next(rotation)}"


def _evidence(spec: str | None, env: str | None, deployed: list[Path], *, live: bool) -> pipeline.Evidence:
    from meshctl import pipeline

    for each in deployed:
        if not each.is_dir():
            raise UsageError(f"there is no folder {each}")
    mesh = pipeline.validate(options.location(spec), environment=env) if live else None
    if mesh is not None:
        mesh.require()
    return pipeline.Evidence(tuple(deployed), mesh)


def _standing(standing: pipeline.Standing) -> str:
    root = f"root {findings.printable(standing.root)}, until {options.moment(standing.root_end)}; issuing CA until {options.moment(standing.issuing_end)}\n"
    return root + (told(standing.rotation) or "No rotation is under way; `--step begin` begins one.\n")


def _done(step: Step, done: pipeline.Rotated) -> str:
    if done.rotation is None:
        over = "trusts the new root alone" if step is Step.FINISH else "trusts the old root alone, as before"
        return f"the mesh {over}: {_bundles(done.bundles)} written{_bare(done)}\n{_DEPLOY}: with that the rotation is over.\n"
    match done.rotation.step:
        case "begin" if not done.rotation.issued:
            where = f"{done.of - done.bare} of {_bundles(done.of)}" if done.bare else "all bundles"
            what = f"both roots are in {where}: {_bundles(done.bundles)} written{_bare(done)}"
        case "begin":
            what = f"the old CA issues again: {_certificates(done.certificates)} issued"
        case _:
            what = f"the new CA issues: {_certificates(done.certificates)} issued"
    return f"{what}\n{_next(done.rotation)}"


def _next(rotation: Rotation) -> str:
    """What to do now. Every step begins with a deployment, for the next asks for it."""
    match rotation.step, rotation.issued:
        case "begin", True:
            step = "abort"
        case "begin", _:
            step = "issue"
        case "issue", _:
            step = "finish"
        case broken, _:
            return f"Next: `certs rotate-ca --step {broken}` again, which broke off.\n"
    return f"Next: {_DEPLOY[0].lower()}{_DEPLOY[1:]}, then `certs rotate-ca --step {step}` with --deployed DIR or --live.\n"


def _bundles(number: int) -> str:
    return f"{number} bundle{'' if number == 1 else 's'}"


def _bare(done: pipeline.Rotated) -> str:
    if not done.bare:
        return ""
    return f"; {done.bare} of {done.of} {'holds' if done.bare == 1 else 'hold'} no certificates yet"


def _certificates(number: int) -> str:
    return f"{number} certificate{'' if number == 1 else 's'}"
