"""What a piece of work costs, and which files it opens: the interpreter itself tells of every one (PEP 578)."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import sysconfig
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
_LISTS = frozenset(("os.listdir", "os.scandir"))


@dataclass
class Watch:
    """What may be read and written while it is on, and what was beyond that."""

    reads: tuple[str, ...]
    writes: tuple[str, ...] = ()
    git: bool = False
    """Whether git may be asked."""
    strays: list[str] = field(default_factory=list)

    def see(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Judge one event of the interpreter's."""
        if event in _NEVER:
            if event == "subprocess.Popen" and self.git and arguments[0] == "git":
                return
            self.strays.append(f"{event} {arguments!r}")
        elif event in _CHANGES:
            for each in arguments:
                if isinstance(each, (str, bytes, os.PathLike)) and not _below(each, self.writes):
                    self.strays.append(f"{event} {each!r}")
        elif event in _LISTS:
            if isinstance(arguments[0], (str, bytes, os.PathLike)) and not _below(
                arguments[0], (*self.reads, *_OWN)
            ):
                self.strays.append(f"{event} {arguments[0]!r}")
        elif event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)):
            _, mode, flags = arguments
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


SECONDS = float(os.environ.get("MESHCTL_FUZZ_CPU_SECONDS", "1"))
"""Of processor time, for one command on one input. Slower machines, and those that count coverage, say more."""

MEGABYTES = 300
"""By which the memory of the process may grow."""


@contextlib.contextmanager
def watched(
    reads: Path, writes: Path | None = None, share: float = 1, *, git: bool = False
) -> Iterator[None]:
    """Raises StrayError or CostError when what is inside opens other files, or costs too much. ``share``: of the time."""
    global _watch, _hooked  # noqa: PLW0603 - an audit hook is for the whole process, and cannot be taken away
    if not _hooked:
        sys.addaudithook(_hook)
        _hooked = True
    _watch = Watch((os.path.realpath(reads),), (os.path.realpath(writes),) if writes else (), git)
    memory, started = _peak(), time.process_time()
    try:
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
