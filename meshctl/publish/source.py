"""What is published: the spec as a commit has it, never as the work tree has it."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from meshctl.diagnostics import UsageError
from meshctl.publish.git import attempt, complaint, line, without_credentials

_SHOWN = 5
_YAML = (".yaml", ".yml")


class Source(Struct, frozen=True):
    """A spec in a commit."""

    commit: str
    path: str
    """Of the spec, from the top of the repository."""
    repository: str
    """The URL that its remote has, without credentials; empty without one."""
    location: str
    """``REV:path`` as commands take it, with the commit's short id, which says what was read even if a branch moves."""
    algorithm: str
    """What ids are made by in this clone: sha1 or sha256."""
    shallow: bool
    """Whether history ends somewhere in this clone, though there is more of it elsewhere."""


class _Clone(Struct, frozen=True):
    """What git says of where it is run."""

    algorithm: str
    shallow: bool
    prefix: str
    """From the top of the work tree to here."""


def source_at(location: str, remote: str, is_spec_file: Callable[[str], bool]) -> Source:
    """The spec at ``location``, a path in the work tree or ``REV:path``; ``is_spec_file`` knows paths below a spec's folder.

    Raises UsageError outside of a repository, for an unknown revision, and for a work tree whose spec is not as in
    HEAD: what nobody committed is not published.
    """
    clone = _clone()
    in_tree = os.path.lexists(location)
    if not in_tree and ":" not in location:
        raise UsageError(f"{location}: no such file or folder; name a revision of it as REV:path")
    revision, _, path = ("HEAD", "", _from_here(location)) if in_tree else location.partition(":")
    commit = _commit(revision, clone)
    if in_tree:
        _require_clean(location, clone, is_spec_file)
    short = line("rev-parse", "--short=12", commit)
    url = _without_secrets(line("config", "--get", f"remote.{remote}.url"))
    return Source(
        commit,
        _from_top(path, clone),
        url if url.isprintable() else "",
        f"{short}:{path}",
        clone.algorithm,
        clone.shallow,
    )


def _without_secrets(url: str) -> str:
    """A remote's URL as everybody may read it: tokens stand in queries, too."""
    public = without_credentials(url)
    return re.split(r"[?#]", public, maxsplit=1)[0] if "://" in public else public


def _clone() -> _Clone:
    run = attempt("rev-parse", "--show-object-format", "--is-shallow-repository", "--show-prefix")
    if run.returncode:
        raise UsageError(f"git: {complaint(run)}; publish from within the repository of the spec")
    algorithm, shallow, *prefix = run.stdout.decode("utf-8", "surrogateescape").splitlines()
    return _Clone(algorithm, shallow == "true", "".join(prefix))


def _commit(revision: str, clone: _Clone) -> str:
    if not revision:
        raise UsageError("there is no revision before the `:`; write REV:path, such as HEAD:mesh.yaml")
    found = line("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if found:
        return found
    if revision == "HEAD":
        raise UsageError("there is no commit yet; commit the spec first")
    shallow = " (this clone is shallow: `git fetch --unshallow`, or `fetch-depth: 0` in CI)"
    raise UsageError(f"`{revision}` is no commit in this clone{shallow if clone.shallow else ''}")


def _from_here(path: str) -> str:
    relative = os.path.relpath(path)
    return "." if relative == "." else f"./{relative}"


def _from_top(path: str, clone: _Clone) -> str:
    relative = path in {".", ".."} or path.startswith(("./", "../"))
    return posixpath.normpath(posixpath.join(clone.prefix if relative else "", path)) if path else "."


def _require_clean(location: str, clone: _Clone, is_spec_file: Callable[[str], bool]) -> None:
    changed = sorted(_changed(location, clone, is_spec_file))
    if not changed:
        return
    more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
    raise UsageError(
        f"not as in HEAD: {', '.join(changed[:_SHOWN])}{more}; commit it, or publish what is committed: "
        f"`meshctl publish HEAD:{_from_here(location)}`"
    )


def _changed(location: str, clone: _Clone, is_spec_file: Callable[[str], bool]) -> Iterator[str]:
    """What differs from HEAD in the folder that the spec is in, and what of the spec git does not know."""
    is_folder = Path(location).is_dir()
    folder = os.path.relpath(location if is_folder else Path(location).parent)
    listing = attempt(
        *("status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all"),
        *("--ignore-submodules=all", "--", folder),
    )
    if listing.returncode:
        raise UsageError(f"git: {complaint(listing)}")
    spec, top = _from_top(_from_here(location), clone), _from_top(_from_here(folder), clone)
    for entry in listing.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]:
        state, path = entry[:2], entry[3:]
        below = path if top == "." else path.removeprefix(f"{top}/")
        read = path == spec or below.startswith("environments/") or (is_folder and is_spec_file(below))
        if state != "??" or (read and path.endswith(_YAML)):
            yield path
