"""The branch, here and at a remote: it moves from the commit that was seen to the new one, or not at all."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from msgspec import Struct

from meshctl.diagnostics import UsageError
from meshctl.publish.commit import Committed
from meshctl.publish.git import FAR_SECONDS, GitError, attempt, complaint, git, line
from meshctl.publish.order import is_ancestor

ATTEMPTS = 10
_PAUSE = 0.05
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,99}){0,9}")


class Branch(Struct, frozen=True):
    """A branch to publish on; with ``push`` the one of that name at the remote is what counts."""

    name: str
    remote: str
    push: bool

    @property
    def ref(self) -> str:
        """Its full name, here and at the remote."""
        return f"refs/heads/{self.name}"


class Published(Struct, frozen=True):
    """What became of the branch."""

    committed: Committed
    former: str
    """Where the branch was; empty where there was none."""
    pushed: bool


class _Seen(Struct, frozen=True):
    """Commits, empty where there is none."""

    here: str
    there: str
    base: str


def branch_named(name: str, remote: str, *, push: bool) -> Branch:
    """Raises UsageError for what cannot be a branch, an unknown remote, and a branch that is checked out somewhere."""
    branch = Branch(name, remote, push)
    # With a branch named HEAD every git command says from then on that it is ambiguous.
    if (
        name in ("HEAD", "@")
        or name.startswith(("-", "refs/"))
        or attempt("check-ref-format", branch.ref).returncode
    ):
        raise UsageError(f"`{name}` cannot be the name of a branch")
    if push and remote not in (remotes := line("remote").splitlines()):
        there = f"there are: {', '.join(remotes)}" if remotes else "there are none"
        raise UsageError(f"there is no remote `{remote}` ({there})")
    if f"branch {branch.ref}" in line("worktree", "list", "--porcelain").splitlines():
        raise UsageError(f"the branch `{name}` is checked out; publish to one that no work tree is on")
    return branch


def require_folder(name: str) -> None:
    """Raises UsageError for what cannot be a folder of a branch."""
    if not _FOLDER.fullmatch(name) or name.endswith(".git"):
        raise UsageError(
            f"`{name}` cannot be a folder of the branch: names of letters, digits, `.`, `_` and `-`, with `/`"
        )


def publish(branch: Branch, committed_on: Callable[[str], Committed]) -> Published:
    """Move ``branch`` to what ``committed_on`` makes of the commit that it is at; again on top of others who were faster.

    Raises UsageError when others were faster each time, and where the branches here and there have parted.
    """
    refused = ""
    for count in range(ATTEMPTS):
        time.sleep(_PAUSE * count)
        seen = _look(branch)
        committed = committed_on(seen.base)
        refused = _push(branch, seen, committed.commit) if branch.push else ""
        if not refused:
            late = _move(branch, seen, committed.commit)
            # Behind a push that was taken, whoever moved the branch here has the say about it.
            if not late or branch.push:
                return Published(committed, seen.base, branch.push and committed.commit != seen.there)
            refused = late
    raise UsageError(
        f"`{branch.name}` moved {ATTEMPTS} times meanwhile, or is locked ({refused}); publish again"
    )


def _look(branch: Branch) -> _Seen:
    here = line("rev-parse", "--verify", "--quiet", branch.ref)
    if not branch.push:
        followed = f"refs/remotes/{branch.remote}/{branch.name}"
        return _Seen(here, "", here or line("rev-parse", "--verify", "--quiet", followed))
    there = _tip_there(branch)
    if there:
        # Into no ref of this clone; where all of it is here, git asks for nothing.
        quiet = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--refmap=")
        git("fetch", *quiet, branch.remote, branch.ref, seconds=FAR_SECONDS)
    if not here or not there or here == there or is_ancestor(here, there):
        return _Seen(here, there, there or here)
    if is_ancestor(there, here):
        return _Seen(here, there, here)
    raise UsageError(
        f"`{branch.name}` here and at {branch.remote} have parted; it holds nothing that cannot be built again: "
        f"`git branch -D {branch.name}`, and publish again"
    )


def _tip_there(branch: Branch) -> str:
    listed = git("ls-remote", "--quiet", branch.remote, branch.ref, seconds=FAR_SECONDS).decode()
    tips = [each.split("\t")[0] for each in listed.splitlines() if each.endswith(f"\t{branch.ref}")]
    return tips[0] if tips else ""


def _push(branch: Branch, seen: _Seen, commit: str) -> str:
    """Why it was not taken, where another attempt may help; raises GitError where none will."""
    if commit == seen.there:
        return ""
    run = attempt(
        # A mirror takes no single branch.
        *("-c", f"remote.{branch.remote}.mirror=false", "push", "--porcelain", "--no-verify"),
        *("--no-follow-tags", "--recurse-submodules=no", branch.remote, f"{commit}:{branch.ref}"),
        seconds=FAR_SECONDS,
    )
    if not run.returncode:
        return ""
    told = [each for each in run.stdout.decode("utf-8", "replace").splitlines() if each.startswith("!")]
    why = "; ".join((*(each.rpartition("\t")[2] for each in told), complaint(run)))
    if ".lock" in why or _tip_there(branch) != seen.there:
        return why
    raise GitError(f"git: {branch.remote} did not take it: {why}")


def _move(branch: Branch, seen: _Seen, commit: str) -> str:
    """Why the branch here did not move, where another attempt may help; raises GitError where none will.

    After a push it is moved only where there is one.
    """
    if commit == seen.here or (branch.push and not seen.here):
        return ""
    nothing = "0" * len(commit)
    run = attempt("update-ref", "-m", "meshctl publish", branch.ref, commit, seen.here or nothing)
    if not run.returncode:
        return ""
    if b".lock" in run.stderr or line("rev-parse", "--verify", "--quiet", branch.ref) != seen.here:
        return complaint(run)
    raise GitError(f"git: {complaint(run)}")
