"""What a piece of work costs, and which files it opens: the interpreter itself tells of every one (PEP 578)."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

_OWN = (
    *(str(ROOT / each) for each in ("meshctl", "templates", "schemas", "policies", "tests")),
    *{sysconfig.get_path(each) for each in ("stdlib", "purelib", "platlib")},
    *(sys.prefix, sys.base_prefix, "/proc/", "/sys/", "/dev/null", "/dev/urandom"),
    *(each for each in sys.path if each.count("/") > 1),
)
"""The program itself and what it stands on may be read at any time."""

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = frozenset(
    ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.chown", "os.truncate", "os.utime")
)  # fmt: skip
_NEVER = frozenset(
    ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "socket.connect", "socket.bind", "os.fork")
)
_SCRATCH = tempfile.gettempdir()
_LISTS = frozenset(("os.listdir", "os.scandir"))


@dataclass
class Watch:
    """What may be read and written while it is on, and what was beyond that."""

    reads: tuple[str, ...]
    writes: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()
    """Programs that may be started."""
    strays: list[str] = field(default_factory=list)

    def see(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Judge one event of the interpreter's."""
        if event in _NEVER:
            if event == "subprocess.Popen" and arguments[0] in self.starts:
                return
            self.strays.append(f"{event} {arguments!r}")
        elif event in _CHANGES:
            # What a link says is text: only where it is put counts.
            for each in arguments[event == "os.symlink" :]:
                if isinstance(each, (str, bytes, os.PathLike)) and not _below(each, self.writes):
                    self.strays.append(f"{event} {each!r}")
        elif event in _LISTS:
            if isinstance(arguments[0], (str, bytes, os.PathLike)) and not _below(
                arguments[0], (*self.reads, *_OWN)
            ):
                self.strays.append(f"{event} {arguments[0]!r}")
        elif event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)):
            _, mode, flags = arguments
            if arguments[0] == _SCRATCH:
                return  # a file without a name: it is gone with the process
            writing = flags & _WRITING if isinstance(flags, int) and flags else set(mode or "") & set("wax+")
            allowed = self.writes if writing else (*self.reads, *self.writes, *_OWN)
            if not _below(arguments[0], allowed):
                self.strays.append(f"open {arguments[0]!r} mode {mode!r} flags {flags!r}")


def _below(path: str | bytes | os.PathLike[Any], folders: tuple[str, ...]) -> bool:
    written = os.fsdecode(path)
    if "/" not in written and written not in ("", ".", ".."):
        # Beside a descriptor of a folder, which the interpreter does not tell of.
        return True
    where = os.path.normpath(Path.cwd() / written)
    return where.endswith((".py", ".pyc", ".so")) or any(
        where == each.rstrip("/") or where.startswith(each.rstrip("/") + "/") for each in folders
    )


_watch: Watch | None = None
_hooked = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watch is not None:
        _watch.see(event, arguments)


class StrayError(AssertionError):
    """Something was read, written or started that is none of the work's business."""


class CostError(AssertionError):
    """The work took more time or memory than any input is worth."""


class HangError(AssertionError):
    """The work waits, without using the processor."""


WAITING = 45.0
"""Seconds in which a command neither works nor stands in line for a processor: so many that no busy disk comes near."""

_LOOKED = 5.0
"""Seconds from one look at that to the next."""

SECONDS = float(os.environ.get("MESHCTL_FUZZ_CPU_SECONDS", "1"))
"""Of processor time, for one command on one input. Slower machines, and those that count coverage, say more."""

MEGABYTES = 300
"""By which the memory of the process may grow."""


@contextlib.contextmanager
def watched(
    reads: Path, writes: Path | None = None, share: float = 1, *, starts: tuple[str, ...] = ()
) -> Iterator[None]:
    """Raises StrayError or CostError when what is inside opens other files, starts programs but ``starts``, or costs too much.

    ``share``: of the time. Raises HangError when it waits for something that does not come.
    """
    global _watch, _hooked  # noqa: PLW0603 - an audit hook is for the whole process, and cannot be taken away
    if not _hooked:
        sys.addaudithook(_hook)
        _hooked = True
    _watch = Watch((os.path.realpath(reads),), (os.path.realpath(writes),) if writes else (), starts)
    memory, started = _peak(), time.process_time()
    try:
        with _awaited():
            yield
    finally:
        watch, _watch = _watch, None
        spent, grown = time.process_time() - started, _peak() - memory
    if watch.strays:
        raise StrayError("; ".join(watch.strays[:5]))
    if spent > SECONDS * share:
        raise CostError(f"{spent:.2f} seconds")
    if grown > MEGABYTES:
        raise CostError(f"{grown} MB")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


@contextlib.contextmanager
def _awaited() -> Iterator[None]:
    started = time.monotonic() - _busy()

    def look(_number: int, _frame: object) -> None:
        if (idle := time.monotonic() - _busy() - started) > WAITING:
            raise HangError(f"waited for {idle:.0f} seconds")

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, _LOOKED, _LOOKED)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        # One that is not Python's own, as atheris has it, cannot be put back.
        signal.signal(signal.SIGALRM, signal.SIG_DFL if before is None else before)


def _busy() -> float:
    """Seconds that this thread has worked, or was ready to."""
    works, ready, _ = Path("/proc/thread-self/schedstat").read_text("ascii").split()
    return (int(works) + int(ready)) / 1e9
