"""Where a spec and its environments are: in the work tree, or in a git revision."""

from __future__ import annotations

import os
from collections.abc import Sequence

from meshctl.diagnostics import Finding, NotThereError, UsageError
from meshctl.load import revision, worktree
from meshctl.load.files import SourceFile, SpecFiles, shown


def read_files(location: str) -> SpecFiles:
    """The bytes of the spec at ``location``: a file, a folder, or ``REV:path`` where no such file exists.

    Raises UsageError for what cannot be read, NotThereError when there is nothing to read.
    """
    if _in_git(location):
        return revision.read(location)
    if os.path.lexists(location):
        return worktree.read(location)
    raise NotThereError(f"{shown(location)}: no such file or folder")


def read_first_files(choices: Sequence[Sequence[str]]) -> tuple[tuple[str, SpecFiles] | None, ...]:
    """Of each choice the first location where there is a spec, and its bytes as :func:`read_files` has them.

    None for a choice where nothing is. A choice is of the work tree, or of one revision; all contents come from git at once.
    """
    from_git = [each for each in choices if each and all(map(_in_git, each))]
    revisions = dict(zip(map(id, from_git), revision.read_first(from_git), strict=True))
    return tuple(revisions[id(each)] if id(each) in revisions else _first(each) for each in choices)


def _first(locations: Sequence[str]) -> tuple[str, SpecFiles] | None:
    for each in locations:
        try:
            return each, read_files(each)
        except NotThereError:
            continue
    return None


def _in_git(location: str) -> bool:
    return ":" in location and not os.path.lexists(location)


def read_tests(location: str) -> SpecFiles:
    """The bytes of the route tests beside the spec at ``location``.

    Raises UsageError for a spec that is not in the work tree.
    """
    if os.path.lexists(location):
        return worktree.read_tests(location)
    raise UsageError(f"{shown(location)}: route tests are run from the work tree; check the revision out")


def read_environments(location: str, folder: str) -> SpecFiles:
    """The bytes of all files in ``environments/`` below ``folder``, which the spec at ``location`` is in.

    Nothing when there is no such folder.
    """
    if os.path.lexists(location):
        return worktree.read_environments(folder)
    return revision.read_environments(folder)


def read_beside(location: str, folder: str) -> SpecFiles:
    """The bytes of the files directly in ``folder``, if the spec at ``location`` is one of them alone."""
    if os.path.lexists(location):
        return worktree.read_beside(location)
    return revision.read_beside(location, folder)


def read_named(location: str, folder: str, path: str) -> SourceFile | Finding:
    """The file at ``path`` below ``folder``, which the spec at ``location`` is in and names it; or why it cannot be read."""
    if os.path.lexists(location):
        return worktree.read_named(folder, path)
    return revision.read_named(folder, path)
