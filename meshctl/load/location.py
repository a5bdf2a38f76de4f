"""Where a spec and its environments are: in the work tree, or in a git revision."""

from __future__ import annotations

import os

from meshctl.diagnostics import Finding, NotThereError, UsageError
from meshctl.load import revision, worktree
from meshctl.load.files import SourceFile, SpecFiles, shown


def read_files(location: str) -> SpecFiles:
    """The bytes of the spec at ``location``: a file, a folder, or ``REV:path`` where no such file exists.

    Raises UsageError for what cannot be read, NotThereError when there is nothing to read.
    """
    if os.path.lexists(location):
        return worktree.read(location)
    if ":" in location:
        return revision.read(location)
    raise NotThereError(f"{shown(location)}: no such file or folder")


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


def read_named(location: str, folder: str, path: str) -> SourceFile | Finding:
    """The file at ``path`` below ``folder``, which the spec at ``location`` is in and names it; or why it cannot be read."""
    if os.path.lexists(location):
        return worktree.read_named(folder, path)
    return revision.read_named(folder, path)
