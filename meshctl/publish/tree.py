"""Trees of a branch: what is in one, and a new one made from bytes, through an index of its own."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from meshctl.artifacts import Artifact, Written
from meshctl.publish.git import git

_FILE, _EXECUTABLE = "100644", "100755"


class Entry(Struct, frozen=True):
    """A file in a tree."""

    mode: str
    blob: str


class Folder(Struct, frozen=True):
    """What a folder of the branch shall hold, and nothing else. ``name`` is empty for the top."""

    name: str
    artifacts: tuple[Artifact, ...]


def entries(commit: str) -> dict[str, Entry]:
    """Every file of ``commit`` by its path; none where that is empty."""
    if not commit:
        return {}
    found = {}
    listing = git("ls-tree", "-r", "-z", "--full-tree", commit)
    for each in listing.decode("utf-8", "surrogateescape").split("\0")[:-1]:
        facts, _, path = each.partition("\t")
        mode, _, blob = facts.split()
        found[path] = Entry(mode, blob)
    return found


def below(found: Mapping[str, Entry], folder: str) -> dict[str, Entry]:
    """Those in ``folder``, by their paths in it."""
    start = f"{folder}/" if folder else ""
    return {path[len(start) :]: entry for path, entry in found.items() if path.startswith(start)}


def entry_of(artifact: Artifact, algorithm: str) -> Entry:
    """``artifact`` as git has it in a repository whose ids are made by ``algorithm``."""
    digest = hashlib.new(algorithm, b"blob %d\0" % len(artifact.content), usedforsecurity=False)
    digest.update(artifact.content)
    return Entry(_EXECUTABLE if artifact.executable else _FILE, digest.hexdigest())


def compare(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> Written:
    """What changes, file by file."""
    both = before.keys() & after.keys()
    updated = sorted(path for path in both if before[path] != after[path])
    return Written(
        created=tuple(sorted(after.keys() - before.keys())),
        updated=tuple(updated),
        removed=tuple(sorted(before.keys() - after.keys())),
        unchanged=len(both) - len(updated),
    )


def write_tree(tip: str, before: Mapping[str, Entry], folders: Sequence[Folder], algorithm: str) -> str:
    """The id of a tree like that of ``tip``, whose files are ``before``, but for ``folders``."""
    known = {entry.blob for entry in before.values()}
    lines, missing = [], {}
    for folder in folders:
        start = f"{folder.name}/" if folder.name else ""
        lines += [
            f"0 {'0' * len(entry.blob)}\t{start}{path}" for path, entry in below(before, folder.name).items()
        ]
        for artifact in folder.artifacts:
            entry = entry_of(artifact, algorithm)
            lines.append(f"{entry.mode} {entry.blob}\t{start}{artifact.path}")
            if entry.blob not in known:
                missing[entry.blob] = artifact.content
    _write_blobs(missing.values())
    with tempfile.TemporaryDirectory(prefix="meshctl-publish-") as scratch:
        index = str(Path(scratch) / "index")
        git("read-tree", *([tip] if tip else ["--empty"]), index=index)
        listed = "".join(f"{each}\0" for each in lines).encode("utf-8", "surrogateescape")
        git("update-index", "-z", "--index-info", stdin=listed, index=index)
        return git("write-tree", index=index).decode().strip()


def _write_blobs(contents: Iterable[bytes]) -> None:
    """All in one pack: loose, each would be a file that is synced by itself."""
    parts = [part for content in contents for part in (b"blob\ndata %d\n" % len(content), content, b"\n")]
    if parts:
        git("fast-import", "--quiet", "--done", stdin=b"".join((*parts, b"done\n")))
