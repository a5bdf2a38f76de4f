"""Outputs of a commit on a branch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from meshctl import __version__
from meshctl.artifacts import Written, render_manifest
from meshctl.diagnostics import MeshctlError, ToolError
from meshctl.pipeline.building import emit, manifest_of, require_sound
from meshctl.pipeline.checking import Validated, validate

if TYPE_CHECKING:
    from meshctl.publish import Branch, Committed, Publication, Record, Source


class Verification(Struct, frozen=True):
    """Bundles that their proxy took, and proxies that are not installed here, so that theirs were not checked."""

    verified: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class Outputs(Struct, frozen=True):
    """What one environment has become."""

    folder: str
    validated: Validated
    before: Validated | None
    """What was published there; None where nothing was, or it cannot be read here."""
    written: Written


class PublishedOutputs(Struct, frozen=True):
    """A branch that holds what it should. ``commit`` and ``former`` are the same where it did before."""

    commit: str
    former: str
    pushed: bool
    outputs: tuple[Outputs, ...]
    verification: Verification


def published_source(spec: str, remote: str) -> Source:
    """The spec at ``spec``, a path or ``REV:path``, as a commit has it. Raises UsageError where none has."""
    from meshctl.load.files import is_spec_file
    from meshctl.publish import source_at

    return source_at(spec, remote, is_spec_file)


def published_branch(name: str, remote: str, *, push: bool, folders: Iterable[str]) -> Branch:
    """The branch to publish on. Raises UsageError for one that cannot be, and for what cannot be ``folders`` in it."""
    from meshctl.publish import branch_named, require_folder

    for folder in filter(None, folders):
        require_folder(folder)
    return branch_named(name, remote, push=push)


def publish(
    chosen: Mapping[str, Validated],
    source: Source,
    branch: Branch,
    *,
    now: datetime,
    verify: str = "auto",
    force_older: bool = False,
) -> PublishedOutputs:
    """Bring ``branch`` to hold, in each folder, the outputs of what is ``chosen`` for it, made of ``source``.

    Raises before the branch has moved: FindingsError when a spec has errors, ToolError when a proxy refuses an
    output or it holds something like a key, UsageError where this may not move the branch, AuditError when meshctl
    itself is wrong. ``verify`` is auto (what changes, by proxies that are installed), all or none.
    """
    from meshctl import publish as room

    publications = [_publication(folder, each) for folder, each in chosen.items()]
    checked = Verification()

    def committed_on(tip: str) -> Committed:
        nonlocal checked
        committed = room.commit(publications, tip, source, __version__, force_older=force_older)
        checked = _verified(chosen.values(), publications, committed, verify, now)
        return committed

    result = room.publish(branch, committed_on)
    done = result.committed
    outputs = (
        Outputs(folder, each, _before(record) if written.changed else None, written)
        for (folder, each), record, written in zip(chosen.items(), done.records, done.written, strict=True)
    )
    return PublishedOutputs(done.commit, result.former, result.pushed, tuple(outputs), checked)


def _publication(folder: str, validated: Validated) -> Publication:
    from meshctl.audit import keys
    from meshctl.publish import Publication

    mesh = validated.require()
    artifacts = emit(mesh)
    found = [each.where for each in keys.audit({each.path: each.content for each in artifacts})]
    if found:
        raise ToolError(f"nothing was published: something like a private key is in {', '.join(found[:5])}")
    said = manifest_of(mesh, validated)
    files = {each.path: each.file for each in artifacts}

    def manifest(source: Mapping[str, str]) -> bytes:
        return render_manifest({**said, "source": source}, files)

    return Publication(folder, mesh.name, validated.environment or "", artifacts, manifest)


def _verified(
    chosen: Iterable[Validated],
    publications: Iterable[Publication],
    committed: Committed,
    verify: str,
    now: datetime,
) -> Verification:
    """What has changed, read back and shown to the proxies, before any branch points to it."""
    verified: list[str] = []
    missing: dict[str, None] = {}
    for each, publication, written in zip(chosen, publications, committed.written, strict=True):
        mesh = each.require()
        require_sound(mesh, publication.artifacts, written.changed)
        if verify == "none" or not (written.changed or verify == "all"):
            continue
        from meshctl.pipeline import verification

        changed = None if verify == "all" else written.changed
        found = verification.verify(mesh, publication.artifacts, changed, now, require=verify == "all")
        verified += found.verified
        missing |= dict.fromkeys(found.missing)
    return Verification(tuple(verified), tuple(missing))


def _before(record: Record | None) -> Validated | None:
    if record is None:
        return None
    try:
        validated = validate(f"{record.commit}:{record.path}", environment=record.environment or None)
    except MeshctlError:
        # The commit is not in this clone.
        return None
    return validated if validated.mesh is not None else None
