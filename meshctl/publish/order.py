"""Whether what is to be published is newer than what is."""

from __future__ import annotations

import posixpath

from meshctl.diagnostics import UsageError
from meshctl.publish.git import attempt, line
from meshctl.publish.source import Source

_SHORT = 12
_FORCE = "`--force-older` publishes it all the same"


def require_newer(published: str, source: Source) -> None:
    """Raises UsageError unless the commit ``published`` is in the history of ``source``, or it cannot be known here."""
    ours, theirs = source.commit[:_SHORT], published[:_SHORT]
    if published == source.commit or is_ancestor(published, source.commit):
        return
    if _is_here(published) and is_ancestor(source.commit, published):
        raise UsageError(f"{ours} is older than {theirs}, which is published; {_FORCE}")
    if source.shallow:
        raise UsageError(
            f"{theirs} is published, and this clone is too shallow to tell whether {ours} is newer: "
            "`git fetch --unshallow`, or `fetch-depth: 0` in CI"
        )
    if not _is_here(published):
        raise UsageError(
            f"{theirs} is published, which this clone does not have: `git fetch`, and publish what is newest; {_FORCE}"
        )
    raise UsageError(f"{theirs} is published, and is not in the history of {ours}: merge it first; {_FORCE}")


def is_ancestor(before: str, after: str) -> bool:
    """Whether the history of ``after`` is known to hold ``before``."""
    return attempt("merge-base", "--is-ancestor", before, after).returncode == 0


def came_back(published: str, source: Source) -> bool:
    """Whether the spec was another one in between, though it is now what was published.

    Who publishes that other one late must see that there is something newer, so this has to be told of.
    """
    if published == source.commit or not is_ancestor(published, source.commit):
        return False
    environments = posixpath.join(posixpath.dirname(source.path), "environments")
    paths = [source.path] if source.path == "." else [source.path, environments]
    count = line("rev-list", "--count", "--end-of-options", source.commit, f"^{published}", "--", *paths)
    return count.isdigit() and int(count) > 1


def _is_here(commit: str) -> bool:
    return attempt("cat-file", "-e", f"{commit}^{{commit}}").returncode == 0
