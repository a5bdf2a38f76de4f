"""Who last changed each setting of a service or of one of its routes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from meshctl.pipeline.revisions import Revisions, State, commits

if TYPE_CHECKING:
    from meshctl.load.commits import Commit, End, Trail
    from meshctl.resolve.blame import Row
    from meshctl.spec import Spec


class Origin(StrEnum):
    """What is known of a setting's last change."""

    COMMITTED = "committed"
    UNCOMMITTED = "uncommitted"
    """It is in the work tree alone."""
    OLDER = "older"
    """It was before the oldest commit that was looked at."""


class Blamed(Struct, frozen=True):
    """A setting as it is now, and the commit that made it so."""

    row: Row
    origin: Origin
    commit: Commit | None = None


class Blame(Struct, frozen=True):
    """Every setting in the order of the spec, and how far back was looked."""

    settings: tuple[Blamed, ...]
    commits: tuple[tuple[Commit, tuple[Commit, ...]], ...]
    """Those that made one of them so, newest first; with those that each merge brought."""
    end: End | None
    """Why there are no older commits; None where some were not looked at."""
    last: Commit | None
    """The oldest that was."""


class _Step(Struct, frozen=True):
    """A commit, or with None what is in the work tree and not committed; what was before it."""

    commit: Commit | None
    location: str
    before: str


def blame(
    location: str,
    service: str,
    part: str = "",
    *,
    environment: str | None = None,
    since: str = "",
    enough: Callable[[], bool] = lambda: False,
) -> Blame:
    """The last change of each setting of ``service``, with ``part`` of its route of that name, or its `allow` or `deny`.

    ``enough`` says when to stop. Raises UsageError for what is not there now and outside of a repository, FindingsError
    for a spec that cannot be read.
    """
    from meshctl.load.commits import merged, pinned
    from meshctl.resolve import blame as settings

    location = pinned(location)
    revisions = Revisions(environment)
    now = revisions.at(location)
    spec = now.require_spec()
    settings.require(spec, service, part)
    trail = commits(location, now, environment, since)
    walk = _Walk(revisions, spec, service, part)
    steps = _steps(location, trail)
    done = 0
    while done < len(steps) and walk.pending and not enough():
        walk.back(steps, done)
        done += 1
    looked = [each.commit for each in steps[:done] if each.commit is not None]
    end = trail.end if done == len(steps) or not walk.pending else None
    blamed = walk.blamed()
    made = {each.commit.id for each in blamed if each.commit is not None}
    told = tuple((each, merged(each)) for each in looked if each.id in made)
    return Blame(blamed, told, end, looked[-1] if looked else None)


def _steps(location: str, trail: Trail) -> Sequence[_Step]:
    from meshctl.load.commits import End

    newest = trail.commits[0].location if trail.commits else ""
    found = [_Step(None, location, newest)]
    found += [_Step(each, each.location, each.before) for each in trail.commits]
    # Whatever the oldest commit of a shallow clone holds may be from before it.
    return found[:-1] if trail.end is End.SHALLOW and not found[-1].before and trail.commits else found


class _Walk:
    """The settings that are not found yet, and what the part is called where the walk has come to."""

    def __init__(self, revisions: Revisions, spec: Spec, service: str, part: str) -> None:
        from meshctl.resolve.blame import rows

        self._revisions = revisions
        self._rows = rows(spec, service, part)
        self._names = service, part
        self._found: dict[int, Blamed | None] = {}
        self.pending: list[int] = list(range(len(self._rows)))

    def back(self, steps: Sequence[_Step], number: int) -> None:
        """Past one commit: what is not the same before it was made by it."""
        step = steps[number]
        after = self._at(step.location)
        if after is None or after.spec is None:
            return
        before = self._readable_before(steps, number)
        if before is not None and before.means_the_same(after):
            return
        known, inherited = self._before(before, after.spec)
        left = []
        for each in self.pending:
            row = self._rows[each]
            if row.key in known or (row.inherited and row.key in inherited):
                left.append(each)
            elif row.at is None and not known:
                self._found[each] = None
            else:
                origin = Origin.COMMITTED if step.commit is not None else Origin.UNCOMMITTED
                self._found[each] = Blamed(row, origin, step.commit)
        self.pending = left

    def blamed(self) -> tuple[Blamed, ...]:
        """All in order; a default that nobody ever changed is left out."""
        rest = {each: Blamed(self._rows[each], Origin.OLDER) for each in self.pending if self._rows[each].at}
        found = self._found | rest
        return tuple(each for each in (found.get(number) for number in range(len(self._rows))) if each)

    def _at(self, location: str) -> State | None:
        return self._revisions.at(location) if location else None

    def _readable_before(self, steps: Sequence[_Step], number: int) -> State | None:
        """The newest spec before a commit whose shape is right; None where there was none."""
        for step in steps[number:]:
            state = self._at(step.before)
            if state is None or state.spec is not None:
                return state
        return None

    def _before(self, before: State | None, after: Spec) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
        """What held of the part before; and where there was none, what it would have inherited."""
        from meshctl.resolve import blame as settings

        if before is None or before.spec is None:
            return set(), set()
        self._names = settings.former(before.spec, after, *self._names)
        service, part = self._names
        own = settings.rows(before.spec, service, part)
        if own:
            return {each.key for each in own}, set()
        around = (settings.rows(before.spec, service) if part else ()) or settings.layer_rows(before.spec)
        return set(), {each.key for each in around}
