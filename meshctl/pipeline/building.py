"""From a mesh to bundles on disk, verified first."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from meshctl import __version__, ir, manifest
from meshctl.artifacts import Artifact, Plan, Written
from meshctl.cache import outputs
from meshctl.manifest import BundleEntry
from meshctl.pipeline.certificates import IDENTITIES, IDENTITY, issue_certificates, require_authority
from meshctl.pipeline.checking import Validated

if TYPE_CHECKING:
    from meshctl.cache.answers import Question
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
    standing: str = ""
    """The name under which the cache knows the files; empty where it does not."""


def emit(mesh: ir.Mesh, services: Sequence[str] = (), standing: Collection[str] = ()) -> tuple[Artifact, ...]:
    """Every file of the mesh's bundles, or of those of ``services`` only; of bundles in ``standing`` the identities alone."""
    from meshctl.pki.identities import identities_of, render_identities, render_identity
    from meshctl.targets.bundle import bundle, folder

    chosen = [each for each in mesh.sidecars if not services or each.service in services]
    made = [each for each in chosen if not standing or folder(each) not in standing]
    artifacts = [artifact for sidecar in made for artifact in bundle(sidecar)]
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
    question: Question | None = None,
) -> Built:
    """Compile into ``out``: verify what changed, write it, and issue certificates where there is a CA.

    Raises before anything is written: FindingsError when the spec has errors or the CA is unusable,
    ToolError when a proxy refuses an output, AuditError when meshctl itself is wrong. ``verify`` is auto (changed outputs of proxies that are installed), all or none.
    What ``question`` knows of the files from an earlier build is not made again, where it is of all services.
    """
    mesh = validated.require()
    standing = standing_files(mesh, out, None if services or verify == "all" else question)
    artifacts = emit(mesh, services, standing)
    scope = tuple(f"{each}/" for each in services)
    known = {path: how for marks in standing.values() for path, how in marks.items()}
    plan = Plan(out, artifacts, scope, mesh.name, standing=known)
    kept = _kept(out, scope)
    made = _without(mesh, standing)
    require_sound(made, artifacts, plan.changed)
    if authority and plan.changed:
        require_authority(authority, out, mesh, now)
    verified: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    if verify != "none" and (plan.changed or verify == "all"):
        from meshctl.pipeline import verification

        changed = None if verify == "all" else plan.changed
        checked = verification.verify(made, artifacts, changed, now, require=verify == "all")
        verified, missing = checked.verified, checked.missing
    written = plan.apply(manifest_of(mesh, validated, services, kept))
    issued = issue_certificates(out, authority, now, services) if authority else ()
    stands = "" if services or question is None else _keep(question, out, plan.seen, known)
    return Built(written, issued, verified, missing, stands)


def standing_files(mesh: ir.Mesh, out: Path, question: Question | None) -> Mapping[str, Mapping[str, str]]:
    """The bundles in ``out`` that an earlier build by this same meshctl made of the same model, and nobody touched since.

    Each with the marks of its files, but for its identity, which depends on more: whose identity is to be another is none of
    them. See decision 0151.
    """
    from meshctl.pki.identities import identities_of, render_identity
    from meshctl.targets.bundle import folder

    known = question.standing(str(out)) if question else None
    if known is None or known.marks.keys().isdisjoint({manifest.MANIFEST}):
        return {}
    now = outputs.marks(str(out), known.marks)
    if now.get(manifest.MANIFEST) != known.marks[manifest.MANIFEST]:
        return {}
    earlier = manifest.read(out)
    wanted = {folder(each): (str(each.proxy), each.build) for each in mesh.sidecars}
    same = {
        each.folder
        for each in earlier.bundles.values()
        if wanted.get(each.folder) == (each.proxy, each.build)
    }
    identities = identities_of(mesh)
    issued = {
        f"{each}/{IDENTITY}": Artifact(IDENTITY, render_identity(identities, each)).sha256
        for each in identities.holders
    }
    found: dict[str, dict[str, str]] = {each: {} for each in same}
    for path, file in earlier.files.items():
        base, its = _bundle_of(path, same)
        if base not in found:
            continue
        is_other = its == IDENTITY and file.sha256 != issued.get(path)
        if is_other or path not in now or now[path] != known.marks.get(path):
            del found[base]
        elif its != IDENTITY:
            found[base][path] = now[path]
    return found


def _without(mesh: ir.Mesh, standing: Collection[str]) -> ir.Mesh:
    """The mesh with the sidecars alone that are made anew."""
    from meshctl.targets.bundle import folder

    if not standing:
        return mesh
    return structs.replace(
        mesh, sidecars=tuple(each for each in mesh.sidecars if folder(each) not in standing)
    )


def _keep(question: Question, out: Path, seen: Mapping[str, str], known: Mapping[str, str]) -> str:
    standing = outputs.look(str(out), seen, known)
    return standing.name if standing and question.keep_standing(str(out), standing) else ""


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
