"""The commits that changed a spec's files, newest first, along first parents and past moves of its file or folder.

A few processes for each place that the spec had, whatever the number of commits. See decision 0136.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from itertools import zip_longest

from msgspec import Struct
from msgspec.structs import replace

from meshctl.diagnostics import UsageError
from meshctl.load.files import shown
from meshctl.load.moves import moved_from
from meshctl.load.revision import git, is_shallow

MOST = 10_000
"""Commits that are listed of one place."""
MOVES = 50
"""Places that a spec is followed to."""
BROUGHT = 10
"""Commits that are told of a merge."""

_FORMAT = "%H%x00%h%x00%P%x00%aN%x00%aE%x00%at%x00%ct%x00%s"
_FIELDS = _FORMAT.count("%x00") + 1
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


class End(StrEnum):
    """Why there are no older commits."""

    BEGINNING = "beginning"
    """The spec has none."""
    SHALLOW = "shallow"
    """The clone has none."""
    SINCE = "since"
    """None was asked for."""
    MANY = "many"
    """There are too many."""


class Commit(Struct, frozen=True):
    """A commit, by whom (as the mailmap has it) and when it was written, and where the spec is in it."""

    id: str
    short: str
    merge: bool
    """Whether it has several parents. It is compared with the first."""
    author: str
    email: str
    written: datetime
    committed: datetime
    subject: str
    location: str = ""
    """The spec as `REV:path`; empty where it is not in this commit."""
    before: str = ""
    """The same of the first parent; empty where there is no parent, or no spec in it."""


class Trail(Struct, frozen=True):
    """Commits, newest first, and why there are no more."""

    commits: tuple[Commit, ...]
    end: End


class _Raw(Struct, frozen=True):
    """A commit as listed, with its first parent (empty at the beginning)."""

    commit: Commit
    parent: str


def trail(location: str, beside: Sequence[str] = (), since: str = "") -> Trail:
    """The commits that changed the spec at ``location``, of which `HEAD` is the newest, or REV of a `REV:path`.

    ``beside`` are files that a spec which is one file reads beside itself. ``since`` is a revision or a date: only what
    came after it. Raises UsageError outside of a repository, for a place outside of it, and for a ``since`` that is neither.
    """
    tip, place = _start(location)
    moment = _moment(since)
    bound = "" if moment or not since else _since(since)
    found: list[Commit] = []
    for _ in range(MOVES):
        listed = _listed(tip, bound, place, beside)
        older = None
        for raw, commit in zip(listed, _placed(listed, place, alone=not beside), strict=True):
            if moment is not None and commit.committed < moment:
                return Trail(tuple(found), End.SINCE)
            former = moved_from(raw.parent, commit.id, place) if _came(raw, commit) else None
            if former is None:
                found.append(commit)
                continue
            found.append(replace(commit, before=f"{raw.parent}:{former}"))
            older = raw.parent, former
            break
        if older is None:
            return Trail(tuple(found), _end(listed, bound))
        tip, place = older
    return Trail(tuple(found), End.MANY)


def _came(raw: _Raw, commit: Commit) -> bool:
    """Whether the spec is in the commit and not in its parent."""
    return bool(raw.parent and commit.location) and not commit.before


def _end(listed: Sequence[_Raw], bound: str) -> End:
    if len(listed) >= MOST:
        return End.MANY
    if bound:
        return End.SINCE
    # Git shows the oldest commits of a shallow clone as if they had no parents.
    return End.SHALLOW if is_shallow() else End.BEGINNING


def _start(location: str) -> tuple[str, str]:
    """The newest commit, and the spec's path in it."""
    revision, _, path = ("HEAD", "", os.path.relpath(location))
    here = True
    if not os.path.lexists(location) and ":" in location:
        revision, _, path = location.partition(":")
        here = path in {".", ".."} or path.startswith(("./", "../"))
    prefix = _prefix() if here else ""
    place = posixpath.normpath(posixpath.join(prefix, path)) if prefix or path else "."
    if place.startswith("../") or place == ".." or "\n" in place:
        raise UsageError(f"{shown(location)}: not a place in the repository of the working folder")
    return _commit_id(revision), "" if place == "." else place


def _commit_id(revision: str) -> str:
    return git("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}").decode().strip()


def _moment(since: str) -> datetime | None:
    """The moment that ``since`` names, if it is one: a date (its beginning, UTC) or a time by ISO 8601."""
    try:
        if _DATE.fullmatch(since):
            day = date.fromisoformat(since)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        when = datetime.fromisoformat(since) if _DATE.match(since) else None
    except ValueError:
        return None
    return when.replace(tzinfo=when.tzinfo or UTC) if when is not None else None


def _since(since: str) -> str:
    try:
        return _commit_id(since)
    except UsageError as error:
        raise UsageError(
            f"--since {shown(since)}: neither a date (YYYY-MM-DD) nor a revision of this repository ({error})"
        ) from error


def pinned(location: str) -> str:
    """The location itself, or where it is in a revision, with that one's id and the path from the top.

    Raises UsageError outside of a repository, and for an unknown revision.
    """
    if os.path.lexists(location) or ":" not in location:
        return location
    return ":".join(_start(location))


def merged(commit: Commit) -> tuple[Commit, ...]:
    """The commits that a merge brought and that changed the spec where it is then, the newest :data:`BROUGHT` of them."""
    number, _, place = commit.location.partition(":")
    if not commit.merge or not number:
        return ()
    options = ("--no-merges", f"--max-count={BROUGHT}")
    return tuple(each.commit for each in _log((*options, number, f"^{number}^1"), [place] if place else []))


def _prefix() -> str:
    """The path of the working folder from the top, with a slash at its end; empty at the top."""
    return git("rev-parse", "--show-prefix").decode("utf-8", "surrogateescape").rstrip("\n")


def _listed(tip: str, bound: str, place: str, beside: Sequence[str]) -> list[_Raw]:
    folder = posixpath.dirname(place)
    paths = [place, *(posixpath.join(folder, each) for each in beside)] if place else []
    options = ("--first-parent", f"--max-count={MOST}", tip)
    return _log((*options, f"^{bound}") if bound else options, paths)


def _log(arguments: Sequence[str], paths: Sequence[str]) -> list[_Raw]:
    # Paths count from the working folder here, and from the top everywhere else.
    up = "../" * _prefix().count("/") if paths else ""
    wanted = [f"{up}{each}" for each in paths]
    output = git("log", "-z", f"--format=tformat:{_FORMAT}", "--no-color", *arguments, "--", *wanted)
    fields = output.decode("utf-8", "surrogateescape").split("\0")[:-1]
    return [_raw(fields[start : start + _FIELDS]) for start in range(0, len(fields), _FIELDS)]


def _raw(fields: Sequence[str]) -> _Raw:
    number, short, parents, author, email, written, committed, subject = fields
    first, *others = parents.split() or [""]
    times = _time(written), _time(committed)
    return _Raw(Commit(number, short, bool(others), author, email, *times, subject), first)


def _time(seconds: str) -> datetime:
    """A time that somebody wrote into a commit, which may be any number, or none."""
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


def _placed(listed: Sequence[_Raw], place: str, *, alone: bool) -> Iterator[Commit]:
    """The commits, with where the spec is in them and in their parents as long as its place is this one.

    Where nothing but the place counts (``alone``), a spec that is in a parent as in the next older commit bears that one's name,
    so that it is read once.
    """
    objects = _objects(
        [(number, place) for raw in listed for number in (raw.commit.id, raw.parent) if number]
    )
    for raw, older in zip_longest(listed, listed[1:]):
        there, before = objects.get(raw.commit.id), objects.get(raw.parent)
        same = alone and older is not None and before == objects.get(older.commit.id)
        parent = older.commit.id if same and older is not None else raw.parent
        yield replace(
            raw.commit,
            location=f"{raw.commit.id}:{place}" if there else "",
            before=f"{parent}:{place}" if before else "",
        )


def _objects(wanted: Sequence[tuple[str, str]]) -> dict[str, bytes]:
    """What is at a path in a commit, by the commit; of those that have it."""
    stdin = "".join(f"{number}:{path}\n" for number, path in wanted).encode("utf-8", "surrogateescape")
    answer = git("cat-file", "--batch-check=%(objecttype) %(objectname)", stdin=stdin) if wanted else b""
    pairs = zip(wanted, answer.split(b"\n"), strict=False)
    return {number: line for (number, _), line in pairs if line.startswith((b"blob ", b"tree "))}
