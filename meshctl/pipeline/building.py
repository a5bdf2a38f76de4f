"""From a mesh to bundles on disk, verified first."""

from __future__ import annotations

from collections.abc import Container, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from meshctl import __version__, ir, manifest
from meshctl.artifacts import Artifact, Plan, Written
from meshctl.manifest import BundleEntry
from meshctl.pipeline.certificates import IDENTITIES, IDENTITY, issue_certificates, require_authority
from meshctl.pipeline.checking import Validated

if TYPE_CHECKING:
    from meshctl.pki.store import CertificateStatus


class Built(Struct, frozen=True):
    """What a build did."""

    written: Written
    issued: tuple[CertificateStatus, ...] = ()
    """The former states of the certificates that were replaced."""
    verified: tuple[str, ...] = ()
    """Bundles that their proxy took."""
    unverified: tuple[str, ...] = ()
    """Proxies that are not installed here, so that their bundles were not checked."""


def emit(mesh: ir.Mesh, services: Sequence[str] = ()) -> tuple[Artifact, ...]:
    """Every file of the mesh's bundles, or of those of ``services`` only."""
    from meshctl.pki.identities import identities_of, render_identities, render_identity
    from meshctl.targets.bundle import bundle

    chosen = [each for each in mesh.sidecars if not services or each.service in services]
    artifacts = [artifact for sidecar in chosen for artifact in bundle(sidecar)]
    identities = identities_of(mesh)
    own = [
        Artifact(f"{holder}/{IDENTITY}", render_identity(identities, holder))
        for holder in identities.holders
        if not services or holder.service in services
    ]
    return (*artifacts, *own, Artifact(IDENTITIES, render_identities(identities)))


def build(
    validated: Validated,
    out: Path,
    *,
    now: datetime,
    services: Sequence[str] = (),
    authority: Path | None = None,
    verify: str = "auto",
) -> Built:
    """Compile into ``out``: verify what changed, write it, and issue certificates where there is a CA.

    Raises before anything is written: FindingsError when the spec has errors or the CA is unusable,
    ToolError when a proxy refuses an output, AuditError when meshctl itself is wrong. ``verify`` is auto (changed outputs of proxies that are installed), all or none.
    """
    mesh = validated.require()
    artifacts = emit(mesh, services)
    scope = tuple(f"{each}/" for each in services)
    plan = Plan(out, artifacts, scope, mesh.name)
    kept = _kept(out, scope)
    require_sound(mesh, artifacts, plan.changed)
    if authority and plan.changed:
        require_authority(authority, out, mesh, now)
    verified: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    if verify != "none" and (plan.changed or verify == "all"):
        from meshctl.pipeline import verification

        changed = None if verify == "all" else plan.changed
        checked = verification.verify(mesh, artifacts, changed, now, require=verify == "all")
        verified, missing = checked.verified, checked.missing
    written = plan.apply(manifest_of(mesh, validated, services, kept))
    issued = issue_certificates(out, authority, now, services) if authority else ()
    return Built(written, issued, verified, missing)


def require_sound(mesh: ir.Mesh, artifacts: Sequence[Artifact], changed: Sequence[str]) -> None:
    """Read back each bundle with a ``changed`` file. Raises AuditError where meshctl itself is wrong."""
    if not changed:
        return
    from meshctl.audit import require
    from meshctl.targets.bundle import folder

    sidecars = {folder(each): each for each in mesh.sidecars}
    files: dict[str, dict[str, bytes]] = {}
    for artifact in artifacts:
        base, its = _bundle_of(artifact.path, sidecars)
        files.setdefault(base, {})[its] = artifact.content
    touched = {_bundle_of(path, sidecars)[0] for path in changed}
    require((base, sidecars[base], files[base]) for base in sorted(touched & sidecars.keys() & files.keys()))


def _bundle_of(path: str, folders: Container[str]) -> tuple[str, str]:
    """The bundle that a file is of, and its path in it; no bundle where it is of the whole mesh."""
    service, _, rest = path.partition("/")
    if service in folders:
        return service, rest
    instance, _, its = rest.partition("/")
    base = f"{service}/{instance}"
    return (base, its) if base in folders else ("", path)


def _kept(out: Path, scope: tuple[str, ...]) -> tuple[BundleEntry, ...]:
    """The bundles of an earlier build that one of ``scope`` alone leaves as they are."""
    if not scope or not (out / manifest.MANIFEST).exists():
        return ()
    bundles = manifest.read(out).bundles.values()
    return tuple(each for each in bundles if not f"{each.folder}/".startswith(scope))


def manifest_of(
    mesh: ir.Mesh, validated: Validated, services: Sequence[str] = (), kept: Sequence[BundleEntry] = ()
) -> dict[str, object]:
    """What the manifest says beside the files: of the bundles of ``services``, or all, and of those ``kept``."""
    from meshctl.targets import target
    from meshctl.targets.bundle import folder

    chosen = [each for each in mesh.sidecars if not services or each.service in services]
    bundles = {each.folder: _entry(each.proxy, each.build, each.admin, each.calls) for each in kept}
    bundles |= {
        folder(each): _entry(each.proxy, each.build, each.admin.bind, _calls(each)) for each in chosen
    }
    return {
        "meshctl": __version__,
        "mesh": mesh.name,
        **({"environment": validated.environment} if validated.environment else {}),
        "spec": validated.digest,
        "waivers": sorted({f"{each.slug}: {each.waived}" for each in validated.findings if each.waived}),
        "proxies": {
            proxy: target(ir.Proxy(proxy)).VERSION
            for proxy in sorted({str(each["proxy"]) for each in bundles.values()})
        },
        "builds": {folder: bundles[folder] for folder in sorted(bundles)},
    }


def _calls(sidecar: ir.Sidecar) -> tuple[str, ...]:
    callees = {each.identity.service for each in sidecar.clusters if each.identity}
    return tuple(sorted(callees - {sidecar.service}))


def _entry(proxy: str, build: str, admin: object, calls: Sequence[str]) -> dict[str, object]:
    return {
        "proxy": proxy,
        "build": build,
        **({"admin": str(admin)} if admin else {}),
        **({"calls": calls} if calls else {}),
    }
