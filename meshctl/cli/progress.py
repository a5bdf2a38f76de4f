"""A bar on the terminal while work takes long."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

PATIENCE = 1.0
"""Seconds before there is anything to see."""


@contextmanager
def shown(doing: str) -> Iterator[None]:
    """Say on standard error what is going on, and for how long already; only to a person at a terminal, and gone afterwards."""
    if not _is_watched():
        yield
        return
    done = Event()
    thread = Thread(target=_show, args=(doing, done), daemon=True)
    # Ctrl-C is the main thread's: a signal that this one took would break into what must not be interrupted.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    thread.start()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        yield
    finally:
        done.set()
        thread.join()


def _is_watched() -> bool:
    return sys.stderr.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"


def _show(doing: str, done: Event) -> None:
    if done.wait(PATIENCE):
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with bar:
        bar.add_task(doing, total=None)
        done.wait()
