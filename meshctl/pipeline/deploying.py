"""From a mesh to what a platform needs to run its sidecars."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from meshctl import __version__, ir
from meshctl.artifacts import Artifact, Plan, Written
from meshctl.diagnostics import Finding, FindingsError, in_order
from meshctl.ir.egress import SYSTEM_AUTHORITIES
from meshctl.pipeline.checking import Validated
from meshctl.pipeline.documents import written

if TYPE_CHECKING:
    from meshctl.ir.deployment import Deployment
    from meshctl.platforms import Image, Options, Platform, Workload
    from meshctl.targets.base import Commands

PLATFORMS = "platforms.json"
"""The manifest of such files, beside that of a build where both are in one folder."""


def deploy(
    validated: Validated, platform: Platform, options: Options
) -> tuple[tuple[Artifact, ...], tuple[Finding, ...]]:
    """Every file of one platform, and what there is to know of it. Raises FindingsError for what it cannot run."""
    from meshctl.platforms import CHECKS, EMITTERS
    from meshctl.resolve.deployments import deployments

    mesh = validated.require()
    if validated.spec is None or not mesh.sidecars:
        return (), ()
    workloads = [_workload(each) for each in deployments(validated.spec, mesh)]
    findings = in_order(CHECKS[platform](workloads))
    if any(each.is_error for each in findings):
        raise FindingsError(findings, validated.texts)
    artifacts = tuple(written(each) for each in EMITTERS[platform](workloads, options))
    return artifacts, findings


def write_deployment(
    validated: Validated, artifacts: Sequence[Artifact], out: Path, platform: Platform
) -> Written:
    """Bring ``out`` to hold exactly these files of ``platform``; those of other platforms stay."""
    mesh = validated.require()
    plan = Plan(out, artifacts, (f"{platform}/",), mesh.name, manifest=PLATFORMS)
    return plan.apply({"meshctl": __version__, "mesh": mesh.name, "spec": validated.digest})


def _workload(deployment: Deployment) -> Workload:
    from meshctl.platforms import Workload
    from meshctl.targets import target
    from meshctl.targets.bundle import bundle, folder

    sidecar = deployment.sidecar
    its = target(sidecar.proxy)
    below = f"{folder(sidecar)}/{sidecar.proxy}/"
    files = tuple(
        replace(each, path=each.path.removeprefix(below))
        for each in bundle(sidecar)
        if each.path.startswith(below)
    )
    commands = its.COMMANDS
    return Workload(deployment, files, commands.stop, commands.drain, its.VERSION, _image(sidecar, commands))


def _image(sidecar: ir.Sidecar, commands: Commands) -> Image:
    from meshctl.platforms import Image
    from meshctl.targets.base import DEBIAN

    origins = [each.origin.tls for each in sidecar.clusters if each.origin is not None]
    system = any(each is not None and each.authorities == SYSTEM_AUTHORITIES for each in origins)
    packages = (
        *((*commands.packages, *commands.packages_for(sidecar)) if commands.image == DEBIAN else ()),
        *(("openssl",) if sidecar.tls.crl else ()),
        *(("ca-certificates",) if system else ()),
    )
    return Image(commands.image, packages)
