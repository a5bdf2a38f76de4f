"""Where a spec was before a commit moved it."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator, Sequence

from msgspec import Struct

from meshctl.load.files import is_spec_file
from meshctl.load.revision import git

_SIMILAR = "-M30%"
"""A spec that is split is less like any of its parts than git's usual half."""
_COMPARED = "-l1000"


class _Move(Struct, frozen=True):
    """A file that went from ``old`` to ``new``; with no ``new`` it is only gone."""

    old: str
    new: str


def moved_from(before: str, after: str, place: str) -> str | None:
    """The path of the spec in the commit ``before`` that is at ``place`` in ``after``; None where there was none.

    By what git takes for the same file under another name; where it finds none, by the spec's file that is gone.
    """
    moves = list(_moves("diff-tree", before, after))
    renamed = _renamed(moves, place)
    if renamed is not None:
        return renamed
    gone = {posixpath.dirname(each.old) or each.old for each in moves if not each.new}
    files = [each.old for each in moves if not each.new]
    return files[0] if len(files) == 1 else gone.pop() if len(gone) == 1 else None


def renamed_between(there: str | None, elsewhere: str | None, path: str) -> str | None:
    """Where the spec at ``path``, which counts from here, in the revision ``there`` is in the one ``elsewhere``; None for the index.

    By git's word alone. The place counts from the top of the repository, or from here in the index; None where there is none.
    """
    prefix = git("rev-parse", "--show-prefix").decode("utf-8", "surrogateescape").rstrip("\n")
    place = posixpath.normpath(posixpath.join(prefix, path))
    trees = [_tree(each) for each in (elsewhere, there) if each is not None]
    match there, elsewhere:
        case (None, _):
            moves = _moves("diff-index", "--cached", *trees)
        case (_, None):
            moves = _moves("diff-index", "--cached", "-R", *trees)
        case _:
            moves = _moves("diff-tree", *trees)
    found = _renamed(list(moves), place)
    if found is None or elsewhere is not None:
        return found
    return posixpath.relpath(f"/{found}", f"/{prefix}")


def _tree(revision: str) -> str:
    return git("rev-parse", "--verify", "--end-of-options", f"{revision}^{{tree}}").decode().strip()


def _renamed(moves: Sequence[_Move], place: str) -> str | None:
    into = [each for each in moves if each.new == place or each.new.startswith(f"{place}/")]
    if not into:
        return None
    counted: Counter[str] = Counter()
    for each in into:
        for candidate in _candidates(each, place, alone=len(into) == 1):
            counted[candidate] = sum(it.old == candidate or _within(it.old, candidate) for it in moves)
    # Of equals the first one stands: a counter keeps the order of coming.
    return counted.most_common(1)[0][0]


def _candidates(move: _Move, place: str, *, alone: bool) -> Iterator[str]:
    """Places that the spec may have had, the likeliest first."""
    below = move.new[len(place) + 1 :]
    # One file at the top was a spec by itself: all of the repository would be one only if several came from there.
    if below and not (alone and move.old == below) and (move.old == below or move.old.endswith(f"/{below}")):
        yield move.old.removesuffix(below).rstrip("/")
        return
    yield move.old
    if posixpath.dirname(move.old):
        yield posixpath.dirname(move.old)


def _within(path: str, folder: str) -> bool:
    return not folder or path.startswith(f"{folder}/")


def _moves(command: str, *sides: str) -> Iterator[_Move]:
    """Every file of the name of a spec's that has another name after, or none."""
    listing = git(
        command,
        "-r",
        "-z",
        "--no-relative",
        "--name-status",
        "--diff-filter=DR",
        _SIMILAR,
        _COMPARED,
        *sides,
    )
    fields = iter(listing.decode("utf-8", "surrogateescape").split("\0")[:-1])
    for status in fields:
        old = next(fields)
        new = next(fields) if status.startswith("R") else ""
        if is_spec_file(posixpath.basename(old)):
            yield _Move(old, new)
