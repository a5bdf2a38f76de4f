"""The commit whose spec is the one that a build names by its digest."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from enum import StrEnum

from msgspec import Struct

from meshctl.diagnostics import UsageError
from meshctl.load import environments, revision
from meshctl.load.commits import Commit, trail
from meshctl.load.files import ENVIRONMENTS, SourceFile, digest_of

MOST = 500
"""Commits that are read, newest first: each costs two processes of git, and nobody deploys what is older by more."""
BRANCHES = 20
"""Others that are looked at, those with the newest commits first."""


class Age(StrEnum):
    """Where a commit stands by another."""

    OLDER = "older"
    NEWER = "newer"
    ASIDE = "aside"
    """On another branch."""


class Found(Struct, frozen=True):
    """A commit with the spec, and how it stands by the one that was asked about."""

    commit: Commit
    age: Age


def find(
    location: str, digest: str, environment: str | None = None, named: Collection[str] = ()
) -> Found | None:
    """The newest commit in which the spec at ``location`` has this digest: of its own history, then of other branches.

    ``named`` are files that a spec names, as it writes them. Raises UsageError outside of a repository, ToolError without git.
    """
    beside = (*named, *(f"{ENVIRONMENTS}/{environment}.{each}" for each in ("yaml", "yml") if environment))
    seen: set[str] = set()
    for tip in _tips(location):
        for commit in trail(tip, beside).commits:
            if not commit.location or commit.location in seen:
                continue
            if len(seen) >= MOST:
                return None
            seen.add(commit.location)
            if digest in _digests(commit.location, environment, named):
                return Found(commit, _age(commit.id, location))
    return None


def _tips(location: str) -> Iterator[str]:
    """The spec where it is asked about, and then in the other branches."""
    yield location
    path = f"./{location}" if not _is_revision(location) else location.partition(":")[2]
    options = ("--sort=-committerdate", f"--count={BRANCHES}", "--format=%(objectname)")
    for each in dict.fromkeys(revision.git("for-each-ref", *options, "refs/heads", "refs/remotes").split()):
        yield f"{each.decode()}:{path}"


def _is_revision(location: str) -> bool:
    return not os.path.lexists(location) and ":" in location


def _digests(location: str, environment: str | None, named: Collection[str]) -> Iterator[str]:
    """Those of the spec in one commit, with the files that it may name and without."""
    try:
        files = revision.read(location)
        blobs = [each.blob for each in files.files]
        if environment:
            blobs += [each.blob for each in environments.select(location, files.folder, environment).files]
    except UsageError:
        return
    yield digest_of(blobs)
    read = [revision.read_named(files.folder, path) for path in named]
    if read:
        yield digest_of((*blobs, *(each.blob for each in read if isinstance(each, SourceFile))))


def _age(commit: str, location: str) -> Age:
    head = location.partition(":")[0] if _is_revision(location) else "HEAD"
    try:
        common = revision.merge_base(commit, head)
    except UsageError:
        return Age.ASIDE
    if common == commit:
        return Age.OLDER
    tip = revision.git("rev-parse", "--verify", "--end-of-options", f"{head}^{{commit}}").decode().strip()
    return Age.NEWER if common == tip else Age.ASIDE
