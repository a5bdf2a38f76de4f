"""The running sidecar of a bundle on this host: what it serves, and how it comes to serve another build."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import orjson
from msgspec import Struct

from meshctl.diagnostics import ToolError
from meshctl.ir import SocketAddress
from meshctl.live.builds import body
from meshctl.live.processes import run
from meshctl.live.programs import environment

RELOAD = "reload"
LIMIT = timedelta(minutes=6)
"""For one `reload`, which waits two minutes for another and takes less than that itself."""
START_LIMIT = timedelta(seconds=30)
"""Until a sidecar that was started anew is ready."""
TURN = timedelta(minutes=10)
"""For whoever else applies to the same target."""
_POLL = 0.05
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(Struct, frozen=True):
    """How a program ended, and what it said."""

    status: int
    said: str


def reload(folder: Path, *arguments: str) -> Ended:
    """Run the script ``reload`` in ``<bundle>/<proxy>``. Raises ToolError where it cannot be run, or does not end within ``LIMIT``."""
    return command((str((folder / RELOAD).absolute()), *arguments), folder, {}, LIMIT)


def command(argv: Sequence[str], folder: Path, variables: Mapping[str, str], limit: timedelta) -> Ended:
    """Run a program to its end, also when this process is interrupted meanwhile: half of a reload is worse than either.

    KeyboardInterrupt is raised when it has ended. Raises ToolError.
    """
    try:
        child = subprocess.Popen(
            argv,
            cwd=folder,
            env=environment(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Ctrl-C in a terminal is for us alone.
            start_new_session=True,
        )
    except OSError as error:
        raise ToolError(f"cannot run {argv[0]}: {error.strerror}") from error
    deadline = time.monotonic() + limit.total_seconds()
    interrupted = False
    while True:
        try:
            said, _ = child.communicate(timeout=max(0.0, deadline - time.monotonic()))
            break
        except KeyboardInterrupt:
            interrupted = True
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            raise ToolError(f"{argv[0]} did not end within {limit.total_seconds():g} s") from None
    if interrupted:
        raise KeyboardInterrupt
    return Ended(child.returncode, said.decode("utf-8", "replace").strip())


def running(folder: Path, pid_file: str) -> int | None:
    """Our process that runs from ``<bundle>/<proxy>`` and says so in ``pid_file`` there; None where there is none."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((folder / pid_file).read_text("ascii", "replace"))
        process = Path(f"/proc/{pid}")
        # Another user's program is not one to be run by us.
        if process.stat().st_uid == os.geteuid() and (process / "cwd").samefile(folder):
            return pid
    return None


def served(admin: SocketAddress) -> str:
    """The build that a sidecar names at its admin address; empty where nothing answers, or something else does."""
    try:
        document = orjson.loads(body(admin, "/build") or b"null")
    except orjson.JSONDecodeError:
        return ""
    found = document.get("build") if isinstance(document, dict) else None
    return found if isinstance(found, str) else ""


def await_build(admin: SocketAddress, build: str, limit: timedelta) -> bool:
    """Whether a sidecar is ready, and serves this build, within ``limit``."""
    deadline = time.monotonic() + limit.total_seconds()
    while True:
        if served(admin) == build and body(admin, "/ready") is not None:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL)


def version(program: str, flag: str, wanted: str) -> str:
    """What a proxy says that its version is, where that is none of the ``wanted`` ones (``2.6``); else nothing. Raises ToolError."""
    _, said = run((program, flag), Path("/"), timedelta(seconds=10))
    if re.search(rf"(?<![0-9.]){re.escape(wanted)}(?![0-9])", said):
        return ""
    return said.strip().splitlines()[0] if said.strip() else "nothing"


@contextlib.contextmanager
def turn(target: Path) -> Iterator[None]:
    """One at a time for a folder of bundles. Raises ToolError when others take longer than ``TURN``, and OSError."""
    descriptor = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + TURN.total_seconds()
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise ToolError(
                        f"another `meshctl apply` is at work in {target} and does not end"
                    ) from None
            time.sleep(_POLL)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Interrupts are left out until the block ends: what it takes back would be half done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
