"""One sidecar's release in the place of another: proved to serve, or taken back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

from msgspec import Struct

from meshctl import ir
from meshctl.diagnostics import MeshctlError
from meshctl.live.releases import Place, Release
from meshctl.live.reloading import (
    START_LIMIT,
    await_build,
    command,
    reload,
    running,
    served,
    undisturbed,
)
from meshctl.manifest import address_and_port
from meshctl.pipeline.admitting import commands

ANSWER_LIMIT = timedelta(seconds=5)
"""For a sidecar that has said that it serves a build to show it, and for one that somebody else starts again."""
RESTART_LIMIT = timedelta(minutes=2)

NOT_RUNNING = "no sidecar runs from there"


class UnprovedError(Exception):
    """Files are in place, and what they say is not served; why."""


class LeftError(Exception):
    """What was there before is in place again, and not proved to serve; why."""


class TakenBackError(Exception):
    """What was there before is in place again and served, or nothing was there; why."""


class Restart(Struct, frozen=True):
    """A command that ends a sidecar and starts it anew, or starts one that does not run."""

    argv: tuple[str, ...]
    variables: Mapping[str, str]


def bring_in(place: Place, restart: Restart | None, begin: Callable[[], None] = lambda: None) -> bool:
    """Have the current release served, and take it for good; False where nothing ran before and nothing does.

    ``begin`` makes it the current one; what that did is taken back, too.

    Raises TakenBackError and LeftError, and KeyboardInterrupt when that is done, too.
    """
    try:
        begin()
        place.install_certificates()
        runs = _serve(place, place.current, restart)
        with undisturbed():
            place.settle()
    except BaseException as error:
        # Earlier and later than an exchange there is nothing to take back.
        if place.is_settled:
            with undisturbed():
                place.tidy()
            raise
        take_back(place, restart, str(error) or "interrupted")
        if isinstance(error, UnprovedError | MeshctlError | OSError):
            raise TakenBackError(str(error)) from None
        raise
    return runs


def prove(place: Place, restart: Restart | None) -> None:
    """Have the release that is in place served again. Raises UnprovedError and ToolError."""
    _serve(place, place.current, restart)


def take_back(place: Place, restart: Restart | None, why: str) -> None:
    """The good release again, on the disk and in the sidecar. Raises LeftError."""
    with undisturbed():
        place.take_back()
        try:
            place.install_certificates()
            good = place.good
            if good is not None:
                _serve(place, good, restart)
        except (UnprovedError, MeshctlError, OSError) as error:
            raise LeftError(f"{why}; the files of before are back, but not served: {error}") from None
        place.tidy()


def recover(place: Place, restart: Restart | None) -> str:
    """Finish or undo what an exchange left that was cut short: what was done, in words; empty where there was none.

    Raises LeftError.
    """
    if place.is_settled:
        place.tidy()
        return ""
    if place.is_taken_back:
        take_back(place, restart, "an earlier apply was cut short")
        return "undid an apply that was cut short"
    try:
        bring_in(place, restart)
    except TakenBackError as error:
        return f"undid an apply that was cut short: {error}"
    return "finished an apply that was cut short"


def _serve(place: Place, release: Release | None, restart: Restart | None) -> bool:
    """Whether a sidecar serves the release. False: none runs, and none did. Raises UnprovedError and ToolError."""
    if release is None:
        return False
    folder = place.folder / release.proxy
    admin = admin_of(release)
    if running(folder, commands(release.proxy).pid_file):
        ended = reload(folder)
        if ended.status == 2 and restart:
            _start(folder, restart)
        elif ended.status:
            raise UnprovedError(ended.said)
    elif restart:
        _start(folder, restart)
    elif place.good is None:
        return False
    elif not (admin and await_build(admin, release.build, ANSWER_LIMIT)):
        # A supervisor may have started it again.
        raise UnprovedError(NOT_RUNNING)
    if (
        admin
        and release.build
        and not await_build(admin, release.build, START_LIMIT if restart else ANSWER_LIMIT)
    ):
        raise UnprovedError(f"{admin} does not answer for {release.build}, but for {served(admin) or 'none'}")
    return True


def _start(folder: Path, restart: Restart) -> None:
    ended = command(restart.argv, folder, restart.variables, RESTART_LIMIT)
    if ended.status:
        raise UnprovedError(f"`{restart.argv[0]}` ended with {ended.status}: {ended.said}")


def admin_of(release: Release) -> ir.SocketAddress | None:
    """Where a release's sidecar is asked, if that is known."""
    found = address_and_port(release.admin)
    return ir.SocketAddress(*found) if found else None
