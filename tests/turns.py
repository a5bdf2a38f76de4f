"""Turns at what a machine has only once: two test runs on it must not meet."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def turn(name: str) -> Iterator[None]:
    """Wait for the turn at ``name``, and keep it; the kernel ends it with the process."""
    path = Path(tempfile.gettempdir()) / f"meshctl-tests-{name}-{os.getuid()}.lock"
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
