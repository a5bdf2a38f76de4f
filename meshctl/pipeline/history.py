"""What became of a service, commit by commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from meshctl.diagnostics import Finding, UsageError
from meshctl.pipeline.revisions import Revisions, State, commits

if TYPE_CHECKING:
    from meshctl.diff import Change, MeshDiff
    from meshctl.ir.change import Consequence
    from meshctl.load.commits import Commit, End
    from meshctl.resolve.parts import Part
    from meshctl.spec import Spec


class Kind(StrEnum):
    """What a commit did."""

    ADDED = "added"
    CHANGED = "changed"
    RENAMED = "renamed"
    REMOVED = "removed"
    INVALID = "invalid"
    """After it the spec has no meaning, so that the next valid one is compared with the one before it."""


class Entry(Struct, frozen=True):
    """One commit that matters to the service."""

    commit: Commit
    kind: Kind
    service: str
    """Its name after the commit."""
    formerly: str = ""
    changes: tuple[Change, ...] = ()
    consequences: tuple[Consequence, ...] = ()
    elsewhere: tuple[Part, ...] = ()
    """What of the spec changed, where nothing of the service's own part did."""
    findings: tuple[Finding, ...] = ()
    merged: tuple[Commit, ...] = ()
    """Of a merge the commits that it brought, the newest ones."""
    bridged: tuple[Commit, ...] = ()
    """Commits just before it at which the spec was not valid, so that their changes are told here."""


class History(Struct):
    """The entries as they are found, newest first, and when all are: why there are no more."""

    entries: Iterator[Entry]
    end: End | None = None
    """None as long as commits are left that were not looked at."""
    looked_at: int = 0
    """How many commits were, of ``of``."""
    of: int = 0
    last: Commit | None = None
    """The oldest that was."""


def history(
    location: str,
    service: str,
    *,
    environment: str | None = None,
    since: str = "",
    enough: Callable[[], bool] = lambda: False,
) -> History:
    """What commits did to ``service``, from the newest on; ``enough`` says when to stop.

    Raises UsageError for a service that was never there, outside of a repository and for a ``since`` that is nothing.
    """
    revisions = Revisions(environment)
    found = History(iter(()))
    found.entries = _entries(found, revisions, location, service, since, enough)
    return found


def _entries(
    found: History,
    revisions: Revisions,
    location: str,
    service: str,
    since: str,
    enough: Callable[[], bool],
) -> Iterator[Entry]:
    from meshctl.load.commits import merged, pinned

    location = pinned(location)
    newest = revisions.at(location)
    trail = commits(location, newest, environment=revisions.environment, since=since)
    found.of = len(trail.commits)
    walk = _Walk(revisions, trail.commits, service, trail.end)
    seen = _has(newest, service)
    for number, commit in enumerate(trail.commits):
        entries = list(walk.entries(number))
        found.looked_at, found.last = number + 1, commit
        seen = seen or walk.seen
        for entry in entries:
            yield replace(entry, merged=merged(entry.commit))
        if enough():
            break
    else:
        found.end = trail.end
    if not seen:
        raise _unknown(newest, service, found)


def _unknown(newest: State, service: str, found: History) -> UsageError:
    from meshctl.resolve.parts import names
    from meshctl.suggestions import meant

    known = names(newest.loaded.source)
    return UsageError(
        f"there is no service named `{service}` in the spec{meant(service, known)},"
        f" nor was there one at the {found.looked_at} commits that were looked at"
    )


def _has(state: State | None, service: str) -> bool:
    from meshctl.resolve.parts import section_of

    return state is not None and bool(section_of(state.loaded.source, service))


class _Walk:
    """The way back along the commits, with the name that the service has there."""

    def __init__(self, revisions: Revisions, trail: Sequence[Commit], service: str, end: End) -> None:
        self._revisions = revisions
        self._commits = trail
        self._service = service
        self._end = end
        self._skipped: list[int] = []
        self.seen = False

    def entries(self, number: int) -> Iterator[Entry]:
        """What one commit did to it; and before that what the one did that made the spec valid after it."""
        commit = self._commits[number]
        after = self._at(commit.location)
        before = self._at(commit.before)
        self.seen = self.seen or _has(after, self._service) or _has(before, self._service)
        if not (_has(after, self._service) or _has(before, self._service)):
            return
        if after is None or before is None:
            entry = self._border(commit, commit, after)
            yield from () if entry is None else (entry,)
        elif not self._matters(before, after):
            self._skipped.append(number)
            return
        elif after.is_valid:
            yield from self._bridged(number, after)
        else:
            yield from self._mended()
            yield Entry(commit, Kind.INVALID, self._service, findings=after.errors)
        self._skipped.clear()

    def _mended(self) -> Iterator[Entry]:
        """What was done at an invalid commit is told of the next valid one, though that may not matter by itself."""
        for number in reversed(self._skipped):
            after = self._at(self._commits[number].location)
            if after is not None and after.is_valid:
                yield from self._bridged(number, after)
                return

    def _bridged(self, number: int, after: State) -> Iterator[Entry]:
        """What is different from the newest valid state before a commit."""
        valid, bridged = self._valid_before(number)
        commit = self._commits[number]
        if valid is not None:
            entry = self._compared(commit, valid, after)
        else:
            entry = self._border(self._commits[number + len(bridged)], commit, after)
        if entry is not None:
            yield replace(entry, bridged=bridged)

    def _at(self, location: str) -> State | None:
        return self._revisions.at(location) if location else None

    def _border(self, oldest: Commit, commit: Commit, after: State | None) -> Entry | None:
        """What ``commit`` did, if there was no spec before ``oldest``."""
        from meshctl.load.commits import End

        if not _has(after, self._service):
            return Entry(commit, Kind.REMOVED, self._service)
        # The oldest commit of a shallow clone only looks as if all of it had come with it.
        cut = self._end is End.SHALLOW and oldest is self._commits[-1]
        return None if cut else self._added(commit)

    def _added(self, commit: Commit) -> Entry:
        return Entry(commit, Kind.ADDED, self._service)

    def _matters(self, before: State, after: State) -> bool:
        from meshctl.resolve.parts import changed_parts, concerning

        if before.means_the_same(after):
            return False
        sides = before.loaded.source, after.loaded.source
        if before.spec is None or after.spec is None or before.spec.files != after.spec.files:
            return True
        return bool(concerning(changed_parts(*sides), sides, self._service))

    def _valid_before(self, number: int) -> tuple[State | None, tuple[Commit, ...]]:
        """The newest state before a commit that means something, and the commits between."""
        bridged = []
        for commit in self._commits[number:]:
            if commit is not self._commits[number]:
                bridged.append(commit)
            state = self._at(commit.before)
            if state is None or state.is_valid:
                return state, tuple(bridged)
        return None, tuple(bridged)

    def _compared(self, commit: Commit, before: State, after: State) -> Entry | None:
        from meshctl.diff import compare

        name = self._service
        if not _has(after, name):
            return Entry(commit, Kind.REMOVED, name) if _has(before, name) else None
        diff = compare(before.require_mesh(), after.require_mesh())
        if not _has(before, name):
            return self._come(commit, before, after, diff)
        changes = tuple(about(diff.changes, name))
        if not changes:
            return None
        return Entry(
            commit,
            Kind.CHANGED,
            name,
            changes=changes,
            consequences=tuple(each for each in diff.consequences if name in each.services),
            elsewhere=_elsewhere(before, after, name),
        )

    def _come(self, commit: Commit, before: State, after: State, diff: MeshDiff) -> Entry:
        """What a commit did after which the service is there for the first time, or for the first time so named."""
        from meshctl.resolve.parts import former_name

        name = self._service
        certain = {new: old for old, new in diff.renamed}
        was = certain.get(name) or former_name(before.loaded.source, after.loaded.source, name)
        if not was:
            return self._added(commit)
        self._service = was
        if name in certain:
            changes = tuple(about(diff.changes, name))
        else:
            changes = _by_settings(before.require_spec(), after.require_spec(), was, name)
        return Entry(commit, Kind.RENAMED, name, formerly=was, changes=changes)


def about(changes: Sequence[Change], name: str) -> Iterator[Change]:
    """What of the change of a mesh is about the service ``name``: its own part, the mesh's, whom it calls."""
    for each in changes:
        if each.what == "mesh":
            yield each
        elif each.name == name:
            yield from each.changes
        else:
            for inside in each.changes:
                if inside.what == "caller" and inside.name == name:
                    yield replace(inside, what="call of", name=each.name)
                elif inside.what == "as seen by" and name in _bundled(inside.name):
                    yield replace(each, changes=(inside,))


def _bundled(callers: str) -> set[str]:
    return {each.partition("/")[0] for each in callers.split(", ")}


def _by_settings(before: Spec, after: Spec, was: str, name: str) -> tuple[Change, ...]:
    """What changed besides the name, as written."""
    from meshctl.diff import Change, Sign
    from meshctl.resolve import blame

    differing = blame.changes(blame.rows(before, was), blame.rows(after, name))
    return tuple(
        Change(
            Sign.ADDED if old is None else Sign.REMOVED if new is None else Sign.CHANGED,
            "setting",
            setting,
            old or "",
            new or "",
        )
        for setting, old, new in differing
    )


def _elsewhere(before: State, after: State, name: str) -> tuple[Part, ...]:
    from meshctl.resolve.parts import changed_parts, concerning, names

    sides = before.loaded.source, after.loaded.source
    own = [names(each)[name].node for each in sides]
    return concerning(changed_parts(*sides), sides, name) if own[0] == own[1] else ()
