"""Start programs, follow what they say, and stop exactly those."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import IO, Self

from msgspec import Struct

from meshctl.diagnostics import ToolError
from meshctl.live.programs import environment

STOP_GRACE = timedelta(seconds=5)
"""Between SIGTERM and SIGKILL."""

LAST_WORDS = 20
"""Lines of output that an error message repeats."""

Sink = Callable[[str, str], None]
"""Takes the name of a program and one line of its output, without the line break."""


def silent(name: str, line: str) -> None:
    """The sink that drops everything."""


class Program(Struct, frozen=True):
    """What to start. The output of programs is told apart by ``name``."""

    name: str
    argv: tuple[str, ...]
    folder: Path
    variables: Mapping[str, str] | None = None


class Process:
    """A running program in a process group of its own."""

    def __init__(self, program: Program, sink: Sink) -> None:
        self.program = program
        self._sink = sink
        self._last_words: deque[str] = deque(maxlen=LAST_WORDS)
        try:
            self._child = subprocess.Popen(
                program.argv,
                cwd=program.folder,
                env=environment(program.variables or {}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                # A pipe of its own: in one with standard output a message would land in the middle of a log line.
                stderr=subprocess.PIPE,
                process_group=0,
            )
        except OSError as error:
            raise ToolError(f"cannot start {program.name}: {error}") from error
        self._readers = [
            (
                stream,
                threading.Thread(
                    target=self._follow, args=(stream,), name=f"log {program.name}", daemon=True
                ),
            )
            for stream in (self._child.stdout, self._child.stderr)
            if stream is not None
        ]

    def follow(self) -> None:
        """Begin to hand its output on."""
        for _, reader in self._readers:
            reader.start()

    @property
    def group(self) -> int:
        """The process group, which is also the pid of the first process."""
        return self._child.pid

    @property
    def status(self) -> int | None:
        """The exit status, None while it runs, negative for a signal."""
        return self._child.poll()

    def last_words(self) -> str:
        """The end of its output, for an error message."""
        return "\n".join(self._last_words)

    def signal(self, number: int) -> None:
        """Send a signal to the whole group; nothing happens when it is gone."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.group, number)

    def wait(self, deadline: float) -> bool:
        """Wait until ``deadline`` (``time.monotonic``) for the end; whether it has ended."""
        try:
            self._child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def close(self) -> None:
        """Read the rest of the output; call it after the end."""
        for stream, reader in self._readers:
            reader.join(timeout=1)
            if not reader.is_alive():
                stream.close()

    def _follow(self, stream: IO[bytes]) -> None:
        for raw in stream:
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            self._last_words.append(line)
            self._sink(self.program.name, line)


class ProcessGroup:
    """Programs that live and end together: ``with ProcessGroup() as group: group.start(...)``.

    Leaving the block stops them, however it is left; when this process is killed a watchdog does.
    """

    def __init__(self, sink: Sink = silent, grace: timedelta = STOP_GRACE) -> None:
        self._sink = sink
        self._grace = grace
        self._running: list[Process] = []
        self._watchdog: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._watchdog = subprocess.Popen(
            (sys.executable, "-m", "meshctl.live.watchdog"),
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        return self

    def __exit__(self, *exception: object) -> None:
        with _interrupts_deferred():
            self.stop(self._running)
            if self._watchdog is not None and self._watchdog.stdin is not None:
                self._watchdog.stdin.close()
                self._watchdog.wait()

    def start(self, program: Program) -> Process:
        """Start one program. Raises ToolError when it cannot be started."""
        process = Process(program, self._sink)
        self._running.append(process)
        # The watchdog first: whoever has seen a line of output may rely on it.
        self._tell(f"+{process.group}")
        process.follow()
        return process

    def stop(self, processes: Iterable[Process]) -> None:
        """SIGTERM to all of them, then SIGKILL to the groups that are still there after the grace."""
        leaving = list(processes)
        for process in leaving:
            process.signal(signal.SIGTERM)
        deadline = time.monotonic() + self._grace.total_seconds()
        for process in leaving:
            process.wait(deadline)
            # Also after an orderly end: a proxy's workers may have outlived it.
            process.signal(signal.SIGKILL)
            process.wait(time.monotonic() + 1)
            process.close()
            self._tell(f"-{process.group}")
        self._running = [process for process in self._running if process not in leaving]

    def ended(self) -> Process | None:
        """The first program that has ended by itself, if any."""
        return next((process for process in self._running if process.status is not None), None)

    def _tell(self, line: str) -> None:
        if self._watchdog is None or self._watchdog.stdin is None:
            raise RuntimeError("a ProcessGroup is used in a with block")
        with contextlib.suppress(BrokenPipeError):
            self._watchdog.stdin.write(f"{line}\n".encode())
            self._watchdog.stdin.flush()


@contextlib.contextmanager
def _interrupts_deferred() -> Iterator[None]:
    """A second Ctrl-C must not leave half of the proxies running."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def run(argv: Sequence[str], folder: Path, limit: timedelta) -> tuple[int, str]:
    """Run to the end; exit status and whole output. Raises ToolError when missing or over ``limit``."""
    try:
        done = subprocess.run(
            argv,
            cwd=folder,
            env=environment({}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=limit.total_seconds(),
            check=False,
        )
    except OSError as error:
        raise ToolError(f"cannot run {argv[0]}: {error}") from error
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"{argv[0]} did not end within {limit.total_seconds():g} s") from error
    return done.returncode, done.stdout.decode("utf-8", "replace")
