"""The bundles of a host, one after the other: all of them checked first, then each brought in and proved."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from meshctl import manifest
from meshctl.diagnostics import MeshctlError, UsageError
from meshctl.live import releases
from meshctl.live.releases import Content, Place, Release
from meshctl.live.reloading import served, turn
from meshctl.manifest import BundleEntry, Manifest
from meshctl.pipeline import admitting, exchanging, installed
from meshctl.pipeline.admitting import RefusedError
from meshctl.pipeline.applying import Outcome, Report, State, Wanted
from meshctl.pipeline.exchanging import LeftError, Restart, TakenBackError, UnprovedError

_LONGEST = 1000
"""Characters of what is said of a bundle."""
_ONLY_A_START = "nothing was changed: only a start can bring it, which cuts connections. Name what starts it anew with --restart COMMAND"
_STOPPED = "nothing was changed: no sidecar runs from {folder}. Start it there first, or name what does with --restart COMMAND"


class _Ready(Struct, frozen=True):
    """A bundle that was admitted. ``staged`` is None where its files are in place already."""

    entry: BundleEntry
    place: Place
    files: Mapping[str, Content]
    staged: Release | None
    message: str


def apply(wanted: Wanted, now: datetime, report: Report) -> tuple[Outcome, ...]:
    """See :func:`meshctl.pipeline.applying.apply`."""
    said = manifest.read(wanted.bundle)
    installed.require_mesh(wanted.target, said)
    entries = installed.in_order(said, wanted.chosen, wanted.target)
    if not wanted.dry_run:
        wanted.target.mkdir(parents=True, exist_ok=True)
    run = _Run(wanted, said, now, report)
    with contextlib.ExitStack() as stack:
        if wanted.target.is_dir():
            stack.enter_context(turn(wanted.target))
        return run.all(entries)


class _Run:
    def __init__(self, wanted: Wanted, said: Manifest, now: datetime, report: Report) -> None:
        self._wanted = wanted
        self._said = said
        self._now = now
        self._tell = report
        self._outcomes: list[Outcome] = []
        self._locks = contextlib.ExitStack()

    def all(self, entries: Sequence[BundleEntry]) -> tuple[Outcome, ...]:
        ready: list[_Ready] = []
        try:
            ready.extend(one for entry in entries if (one := self._admitted(entry)) is not None)
            if self._is_ended or self._wanted.dry_run:
                for each in ready:
                    self._report(
                        each.entry, State.NOT_REACHED if self._is_ended else State.PLANNED, each.message
                    )
            else:
                self._bring_in(ready)
        finally:
            for each in ready:
                if each.staged is not None:
                    _discard(each.place, each.staged)
            self._locks.close()
        return tuple(self._outcomes)

    @property
    def _is_ended(self) -> bool:
        return any(each.state.exit_code for each in self._outcomes)

    def _admitted(self, entry: BundleEntry) -> _Ready | None:
        place = Place(self._wanted.target / entry.folder)
        try:
            if place.folder.is_dir():
                self._locks.enter_context(admitting.locked(place))
            return self._admit(place, entry)
        except RefusedError as error:
            self._report(entry, State.REFUSED, f"nothing was changed: {_reason(str(error))}")
        except LeftError as error:
            self._report(entry, State.FAILED, str(error))
        except (MeshctlError, OSError) as error:
            self._report(entry, State.FAILED, _words(error))
        return None

    def _admit(self, place: Place, entry: BundleEntry) -> _Ready | None:
        wanted = self._wanted
        files = admitting.files_of(wanted.bundle, self._said, entry)
        releases.require_own(place, files)
        recovered = ""
        if not wanted.dry_run:
            recovered = exchanging.recover(place, self._restart(entry))
        elif not place.is_settled:
            recovered = "an apply was cut short, and would be finished or undone first"
        pid = admitting.running_pid(place, entry.proxy)
        admitting.require_version(self._said, entry, pid)
        given = wanted.certificates and wanted.certificates / entry.folder
        tls = admitting.certificates_for(place, given, wanted.bundle / entry.folder)
        due = admitting.require_certificates(files, tls or place.certificates, self._now)
        message = "; ".join(filter(None, (recovered, due)))
        if not tls and place.holds(files):
            return self._unchanged(_Ready(entry, place, files, None, message), pid)
        staged = place.stage(Release(entry.proxy, entry.build, entry.admin), files, tls)
        try:
            self._require_taken(place, entry, staged, pid)
        except BaseException:
            _discard(place, staged)
            raise
        return _Ready(entry, place, files, staged, message)

    def _unchanged(self, ready: _Ready, pid: int | None) -> _Ready | None:
        admin = exchanging.admin_of(Release(ready.entry.proxy, ready.entry.build, ready.entry.admin))
        if pid is None and not self._wanted.restart:
            self._report(ready.entry, State.IN_PLACE, ready.message or _start_it(ready))
            return None
        if pid is None or admin is None or served(admin) != ready.entry.build:
            return ready
        self._report(ready.entry, State.UP_TO_DATE, ready.message)
        return None

    def _require_taken(self, place: Place, entry: BundleEntry, staged: Release, pid: int | None) -> None:
        asked = admitting.ask_proxy(place, staged, entry.folder)
        if asked.status == 1:
            raise RefusedError(asked.said)
        before = installed.before(place, entry)
        stopped = pid is None and before is not None
        if self._wanted.restart or not (asked.status or stopped):
            return
        if asked.status:
            raise UsageError(f"{_ONLY_A_START}. {asked.said}")
        other = before is not None and before.proxy != entry.proxy
        raise UsageError(_ONLY_A_START if other else _STOPPED.format(folder=place.folder))

    def _bring_in(self, ready: Sequence[_Ready]) -> None:
        for each in ready:
            if self._is_ended:
                self._report(each.entry, State.NOT_REACHED)
            else:
                self._bring_in_one(each)

    def _bring_in_one(self, ready: _Ready) -> None:
        entry, place = ready.entry, ready.place
        before = ""
        try:
            state = State.APPLIED
            if ready.staged is None:
                exchanging.prove(place, self._restart(entry))
            else:
                old = installed.before(place, entry)
                before = old.build if old else ""
                if not exchanging.bring_in(place, self._restart(entry), lambda: self._begin(ready, old)):
                    state = State.IN_PLACE
            installed.note(self._wanted.target, self._wanted.bundle, entry)
            message = _start_it(ready) if state is State.IN_PLACE else ""
            self._report(entry, state, "; ".join(filter(None, (ready.message, message))), before)
        except TakenBackError as error:
            self._report(entry, State.ROLLED_BACK, str(error), before)
        except (LeftError, UnprovedError, MeshctlError, OSError) as error:
            self._report(entry, State.FAILED, _words(error), before)
        except KeyboardInterrupt:
            current = place.current
            done = current is not None and current.build == entry.build
            self._report(entry, State.APPLIED if done else State.ROLLED_BACK, "interrupted", before)
            raise

    def _begin(self, ready: _Ready, old: Release | None) -> None:
        place = ready.place
        if old is not None:
            place.adopt(old, (*ready.files, *installed.files(self._wanted.target, ready.entry)))
        if ready.staged is not None:
            place.keep_certificates()
            place.exchange(ready.staged)

    def _restart(self, entry: BundleEntry) -> Restart | None:
        return installed.restart(self._wanted.restart, self._wanted.target, entry)

    def _report(self, entry: BundleEntry, state: State, message: str = "", before: str = "") -> None:
        outcome = Outcome(entry.folder, state, entry.build, before, _short(message))
        self._outcomes.append(outcome)
        self._tell(outcome)


def recover(target: Path, restart: Sequence[str], report: Report) -> tuple[Outcome, ...]:
    """See :func:`meshctl.pipeline.applying.recover`."""
    found: list[Outcome] = []
    with turn(target):
        for entry in installed.entries(target):
            place = Place(target / entry.folder)
            try:
                releases.require_own(place)
                with admitting.locked(place):
                    done = exchanging.recover(place, installed.restart(restart, target, entry))
                state = State.RECOVERED if done else State.UP_TO_DATE
                outcome = Outcome(entry.folder, state, entry.build, message=done)
            except (LeftError, MeshctlError, OSError) as error:
                outcome = Outcome(entry.folder, State.FAILED, entry.build, message=_words(error))
            found.append(outcome)
            report(outcome)
    return tuple(found)


def _short(message: str) -> str:
    """A proxy may repeat its whole configuration."""
    return message if len(message) <= _LONGEST else f"{message[:_LONGEST]} …"


def _reason(said: str) -> str:
    """What a script says of itself and of nothing that was changed is said already."""
    own = said.removeprefix("reload: ").removeprefix("nothing was changed").lstrip(":, ")
    return own.removeprefix("for ")


def _discard(place: Place, staged: Release) -> None:
    used = {each.name for each in (place.current, place.good) if each}
    if staged.name not in used and place.path(staged).exists():
        place.discard(staged)


def _start_it(ready: _Ready) -> str:
    return f"nothing runs: start it with {ready.place.folder / ready.entry.proxy / 'run'}"


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
