"""Table of contents: what meshctl can do, each as one function that composes the rooms.

Nothing here prints, or asks the clock, the environment or the terminal. Errors are the typed ones of
``meshctl.diagnostics``; findings come back as values.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from meshctl import __version__, ir
from meshctl.artifacts import Artifact, Plan, Written
from meshctl.diagnostics import Finding, FindingsError, UsageError, in_order, merge_alike

if TYPE_CHECKING:
    from meshctl.diff import FileChange, MeshDiff
    from meshctl.lint import PolicySet
    from meshctl.pki.identities import Identities
    from meshctl.pki.store import CertificateStatus
    from meshctl.rehearsal import Rehearsal
    from meshctl.spec import Spec

IDENTITIES = "identities.json"
UNREADABLE = frozenset({"yaml-syntax", "unreadable-file", "too-large"})
"""Slugs of findings that say that a file could not be read at all; they give exit code 2."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A spec as read: the right shape, or the findings that say why not."""

    spec: Spec | None
    findings: tuple[Finding, ...]
    texts: Mapping[str, str]
    """Every file by the name that findings use, so that they can show the line."""
    digest: str
    """``sha256:…`` of all files' contents, wherever they are."""
    unreadable: bool = False
    """Whether any file is not readable YAML."""


@dataclass(frozen=True, slots=True)
class Validated:
    """A spec that means something, or the findings. ``mesh`` is None when there is an error."""

    spec: Spec | None
    mesh: ir.Mesh | None
    findings: tuple[Finding, ...]
    texts: Mapping[str, str]
    digest: str
    unreadable: bool = False
    """Whether the files themselves could not be read, let alone understood."""

    def require(self) -> ir.Mesh:
        """The mesh; raises FindingsError when there is none."""
        if self.mesh is None:
            raise FindingsError(self.findings)
        return self.mesh


def load(location: str) -> Loaded:
    """Read a file, a folder or ``REV:path``. Raises UsageError when there is nothing to read."""
    from meshctl.load import read_spec
    from meshctl.load.shape import shape
    from meshctl.spec import Source, Spec

    read = read_spec(location)
    digest = "sha256:" + hashlib.sha256(repr(sorted(read.blobs.values())).encode()).hexdigest()
    source = Source(read.positions, read.data)
    written, faults = shape(source) if read.data or not read.findings else (None, ())
    spec = Spec(written, source) if written is not None and not read.findings else None
    unreadable = any(each.slug in UNREADABLE for each in read.findings)
    return Loaded(spec, in_order((*read.findings, *faults)), read.texts, digest, unreadable)


def validate(
    location: str, *, proxy: str | None = None, on_loopback: bool = False, today: date | None = None
) -> Validated:
    """Shape, references, meaning, and what the chosen proxies can do; all findings at once.

    ``proxy`` takes the place of every sidecar's, ``on_loopback`` moves all of it onto one machine.
    With ``today`` expired waivers are findings too, and the mesh has no build ids: dates never keep a
    spec from being built, and who asks about them does not build.
    """
    from meshctl import resolve

    validated = check(load(location), proxy=proxy, on_loopback=on_loopback, builds=today is None)
    if today is None or validated.spec is None:
        return validated
    findings = in_order((*validated.findings, *resolve.expired(validated.spec, today)))
    return dataclasses.replace(validated, findings=findings)


def lint(location: str, *, today: date, policies: Path | None = None) -> Validated:
    """What :func:`validate` finds, and what the built-in policies and those below ``policies`` do."""
    from meshctl import lint, resolve
    from meshctl.catalogue import CODES

    validated = validate(location, today=today)
    rules, texts = _policies(policies)
    spec, mesh = validated.spec, validated.mesh
    unreadable = validated.unreadable or any(each.slug in UNREADABLE for each in rules.findings)
    if spec is None or mesh is None:
        found: tuple[Finding, ...] = rules.findings
    else:
        slugs = {each.slug for each in rules.policies}
        found = resolve.waive(lint.lint(mesh, spec, rules), spec, errors=slugs)
        found += tuple(resolve.idle(spec, today, (*validated.findings, *found), CODES.keys() | slugs))
    return dataclasses.replace(
        validated,
        findings=in_order((*validated.findings, *found)),
        texts={**texts, **validated.texts},
        unreadable=unreadable,
    )


def _policies(own: Path | None) -> tuple[PolicySet, dict[str, str]]:
    """The built-in policies and the team's own, and the texts of their files."""
    from meshctl import lint, resources
    from meshctl.load import read_files, read_yaml

    listed = [read_files(str(each)) for each in (resources.folder("policies"), own) if each is not None]
    faults = tuple(fault for each in listed for fault in each.findings)
    documents = {file.name: read_yaml(file.content, file.name) for each in listed for file in each.files}
    rules = lint.read_policies(documents)
    texts = {name: each.text for name, each in documents.items()}
    return dataclasses.replace(rules, findings=(*faults, *rules.findings)), texts


def check(
    loaded: Loaded, *, proxy: str | None = None, on_loopback: bool = False, builds: bool = True
) -> Validated:
    """The rest of :func:`validate`, for a spec that is loaded already."""
    from meshctl import resolve
    from meshctl.targets.check import check as check_targets

    if loaded.spec is None:
        return Validated(None, None, loaded.findings, loaded.texts, loaded.digest, loaded.unreadable)
    spec = resolve.with_proxy(loaded.spec, proxy) if proxy else loaded.spec
    resolution = resolve.resolve(resolve.loopback(spec) if on_loopback else spec, builds=builds)
    findings = list(resolution.findings)
    mesh = resolution.mesh
    if mesh is not None:
        findings += check_targets(mesh)
    found = merge_alike(in_order(resolve.waive(findings, spec)))
    if any(each.is_error for each in found):
        mesh = None
    return Validated(spec, mesh, found, loaded.texts, loaded.digest)


@dataclass(frozen=True, slots=True)
class Built:
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
    from meshctl.pki.identities import identities_of, render_identities
    from meshctl.targets.bundle import bundle

    chosen = [each for each in mesh.sidecars if not services or each.service in services]
    artifacts = [artifact for sidecar in chosen for artifact in bundle(sidecar)]
    return (*artifacts, Artifact(IDENTITIES, render_identities(identities_of(mesh))))


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

    Raises FindingsError before anything is written when the spec has errors, and ToolError when a proxy
    refuses an output. ``verify`` is auto (changed outputs of proxies that are installed), all or none.
    """
    mesh = validated.require()
    artifacts = emit(mesh, services)
    plan = Plan(out, artifacts, tuple(f"{each}/" for each in services))
    verified: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    if verify != "none" and (plan.changed or verify == "all"):
        from meshctl import verification

        changed = None if verify == "all" else plan.changed
        checked = verification.verify(mesh, artifacts, changed, now, require=verify == "all")
        verified, missing = checked.verified, checked.missing
    written = plan.apply(_manifest(mesh, validated))
    issued = issue_certificates(out, authority, now, services) if authority else ()
    return Built(written, issued, verified, missing)


def diff(before: Validated, after: Validated) -> MeshDiff:
    """What changes from one valid spec to another."""
    from meshctl.diff import compare

    return compare(before.require(), after.require())


def rendered_diff(before: Validated, after: Validated) -> tuple[FileChange, ...]:
    """The output files that differ between two valid specs."""
    from meshctl.diff import compare_artifacts

    return tuple(compare_artifacts(emit(before.require()), emit(after.require())))


def issue_certificates(
    out: Path, authority: Path, now: datetime, services: Sequence[str] = ()
) -> tuple[CertificateStatus, ...]:
    """Issue what is missing or due into the bundles below ``out``; returns the former states."""
    from meshctl.pki import facts

    _refuse_tracked(authority)
    identities = _identities(out, services)
    if facts.settled(out, identities, authority, now):
        return ()
    from meshctl.pki import renewal
    from meshctl.pki.authority import load_authority

    return renewal.issue_due(out, identities, load_authority(authority), now)


def create_authority(validated: Validated, folder: Path, now: datetime) -> None:
    """Make the mesh's CA in ``folder``; never over another, nor where git would keep its keys."""
    from meshctl.pki import authority

    mesh = validated.require()
    _refuse_tracked(folder)
    authority.save_authority(folder, authority.create_authority(mesh.trust_domain, now))


def certificate_status(
    out: Path, authority: Path | None, now: datetime, services: Sequence[str] = ()
) -> tuple[CertificateStatus, ...]:
    """What every bundle below ``out`` holds at ``now``."""
    from meshctl.pki import renewal
    from meshctl.pki.authority import load_authority

    issuer = load_authority(authority) if authority else None
    return renewal.check(out, _identities(out, services), issuer, now)


def _refuse_tracked(authority: Path) -> None:
    from meshctl.load.tracking import tracked

    paths = tracked(authority)
    if paths:
        from meshctl.pki.authority import AuthorityError

        raise AuthorityError("ca-tracked", f"git tracks files of the CA in {authority}: {', '.join(paths)}")


def _identities(out: Path, services: Sequence[str]) -> Identities:
    from meshctl.pki.identities import parse_identities

    try:
        identities = parse_identities((out / IDENTITIES).read_bytes())
    except FileNotFoundError:
        raise UsageError(f"there is no {IDENTITIES} in {out}; run `meshctl build` first") from None
    if not services:
        return identities
    chosen = tuple(each for each in identities.holders if each.service in services)
    return dataclasses.replace(identities, holders=chosen)


def _manifest(mesh: ir.Mesh, validated: Validated) -> dict[str, object]:
    from meshctl.targets import target

    return {
        "meshctl": __version__,
        "mesh": mesh.name,
        "spec": validated.digest,
        "waivers": sorted({f"{each.slug}: {each.waived}" for each in validated.findings if each.waived}),
        "proxies": {
            proxy.value: target(proxy).VERSION for proxy in sorted({each.proxy for each in mesh.sidecars})
        },
        "builds": {
            f"{each.service}/{each.instance}".rstrip("/"): {"proxy": each.proxy, "build": each.build}
            for each in mesh.sidecars
        },
    }


def resolved_json(mesh: ir.Mesh) -> str:
    """The resolved model as JSON, durations in milliseconds, ``at`` true where the user wrote a thing."""
    import orjson

    from meshctl.resolve.digest import plain

    return orjson.dumps(mesh, default=plain, option=orjson.OPT_INDENT_2).decode() + "\n"


def capabilities(location: str | None = None) -> list[dict[str, object]]:
    """A row for each feature: what each proxy makes of it; with a spec, only what its mesh uses."""
    from meshctl.targets.check import table

    if location is None:
        return table()
    return table(validate(location).require())


def up(
    validated: Validated,
    out: Path,
    *,
    now: datetime,
    sink: Callable[[str, str], None],
    with_applications: bool,
) -> AbstractContextManager[Rehearsal]:
    """Build below ``out`` with a throwaway CA, and run the mesh for the length of a ``with`` block.

    ``sink`` takes the name of a program and a line of its output. Raises what :func:`build` raises, and
    ToolError when an address is taken or a program does not start.
    """
    from meshctl.pki.authority import create_authority, save_authority
    from meshctl.rehearsal import rehearse

    mesh = validated.require()
    authority = out / "ca"
    save_authority(authority, create_authority(mesh.trust_domain, now))
    build(validated, out / "build", now=now, authority=authority, verify="none")
    return rehearse(mesh, out / "build", sink, with_applications=with_applications)
