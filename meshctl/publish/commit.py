"""The commit that a branch moves to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from meshctl.artifacts import Artifact, Written
from meshctl.diagnostics import UsageError
from meshctl.manifest import MANIFEST
from meshctl.publish.allowed import require_allowed
from meshctl.publish.git import attempt, complaint, git, line
from meshctl.publish.order import came_back, require_newer
from meshctl.publish.record import Record, is_publication, message, record_of, source_fields
from meshctl.publish.source import Source
from meshctl.publish.tree import Entry, Folder, below, compare, entries, entry_of, write_tree

_SHORT = 12
_SHOWN = 5
_IDENTITY = (
    "git does not know in whose name to commit: `git config user.name NAME` and `git config user.email ADDRESS`, "
    "or GIT_AUTHOR_NAME, GIT_AUTHOR_EMAIL, GIT_COMMITTER_NAME and GIT_COMMITTER_EMAIL in the environment"
)


class Publication(Struct, frozen=True):
    """The outputs for one folder of the branch."""

    folder: str
    mesh: str
    environment: str
    artifacts: tuple[Artifact, ...]
    """All but the manifest."""
    manifest: Callable[[Mapping[str, str]], bytes]
    """The manifest with this `source`."""

    def __str__(self) -> str:
        return f"{self.mesh} ({self.environment})" if self.environment else self.mesh


class Committed(Struct, frozen=True):
    """The commit, which is the one before where nothing is new."""

    commit: str
    written: tuple[Written, ...]
    """Of each publication."""
    records: tuple[Record | None, ...]
    """What was published before."""


def commit(
    publications: Sequence[Publication], tip: str, source: Source, version: str, *, force_older: bool
) -> Committed:
    """A commit on ``tip`` (empty: the first one) in which every publication has its folder to itself.

    Raises UsageError where the branch is not publish's, holds another mesh there, or something newer.
    """
    before = entries(tip)
    if tip:
        _require_publication(tip)
    fields = source_fields(source.commit, source.path, source.repository)
    folders, written, records = [], [], []
    for each in publications:
        record = _record(before, each)
        old = below(before, each.folder)
        same = _folder(each, record.source) if record else None
        if (
            same
            and record
            and _entries(same, source.algorithm) == old
            and not came_back(record.commit, source)
        ):
            new = same
        else:
            if record and not force_older:
                require_newer(record.commit, source)
            new = _folder(each, fields)
            folders.append(new)
        records.append(record)
        written.append(compare(old, _entries(new, source.algorithm)))
    if not folders:
        return Committed(tip, tuple(written), tuple(records))
    tree = write_tree(tip, before, folders, source.algorithm)
    told = _message(publications, written, fields, version)
    return Committed(_commit_tree(tree, tip, told), tuple(written), tuple(records))


def _folder(publication: Publication, source: Mapping[str, str]) -> Folder:
    artifacts = (*publication.artifacts, Artifact(MANIFEST, publication.manifest(source)))
    require_allowed(each.path for each in artifacts)
    return Folder(publication.folder, artifacts)


def _entries(folder: Folder, algorithm: str) -> dict[str, Entry]:
    return {each.path: entry_of(each, algorithm) for each in folder.artifacts}


def _require_publication(tip: str) -> None:
    found = git("cat-file", "commit", tip).decode("utf-8", "replace")
    if not is_publication(found):
        subject = found.partition("\n\n")[2].partition("\n")[0]
        raise UsageError(
            f"the branch is not publish's: {tip[:_SHORT]} ({subject}) was not made by it; choose another branch, "
            "or take that commit off it"
        )


def _record(before: Mapping[str, Entry], publication: Publication) -> Record | None:
    """What is published in the folder. Raises UsageError where something else is in its place."""
    folder = publication.folder
    parts = folder.split("/") if folder else []
    for above in ("/".join(parts[:count]) for count in range(len(parts))):
        if _in(above, MANIFEST) in before:
            raise UsageError(
                f"{_named(above)} of the branch is a publication already, and `{folder}` would be in it"
            )
    held = below(before, folder)
    if not held and folder not in before:
        return None
    content = git("cat-file", "blob", held[MANIFEST].blob) if MANIFEST in held else b""
    record = record_of(content)
    if record is None:
        found = sorted({path.partition("/")[0] for path in held})
        raise UsageError(
            f"{_named(folder)} of the branch holds other things ({', '.join(found[:_SHOWN])}); name a folder of its own with --path"
        )
    if (record.mesh, record.environment) != (publication.mesh, publication.environment):
        other = f"{record.mesh} ({record.environment})" if record.environment else record.mesh
        raise UsageError(
            f"{_named(folder)} of the branch holds {other}, and {publication} would take its place; name another with --path"
        )
    return record


def _in(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _named(folder: str) -> str:
    return f"the folder `{folder}`" if folder else "the top"


def _message(
    publications: Sequence[Publication], written: Sequence[Written], source: Mapping[str, str], version: str
) -> str:
    names = ", ".join(dict.fromkeys(map(str, publications)))
    counts = "\n".join(
        f"{each.folder or 'files'}: {len(its.created)} created, {len(its.updated)} updated, "
        f"{len(its.removed)} removed, {its.unchanged} unchanged"
        for each, its in zip(publications, written, strict=True)
    )
    return message(f"Publish {names} of {source['commit'][:_SHORT]}", counts, source, version)


def _commit_tree(tree: str, tip: str, told: str) -> str:
    # Plumbing does not look at this setting by itself.
    signed = ("-S",) if line("config", "--type=bool", "--get", "commit.gpgsign") == "true" else ()
    parent = ("-p", tip) if tip else ()
    run = attempt("commit-tree", *signed, *parent, "-F", "-", tree, stdin=told.encode("utf-8", "replace"))
    if run.returncode:
        nobody = b"ident" in run.stderr
        raise UsageError(_IDENTITY if nobody else f"git could not commit: {complaint(run)}")
    return run.stdout.decode().strip()
