"""What tells that a file is as it was, without reading it: as git's index does."""

from __future__ import annotations

import os
import time

_TICK = 20_000_000
"""Nanoseconds: twice the longest step of the clock by which Linux dates files."""


def mark(status: os.stat_result) -> str:
    """Inode, size, and the times at which the content and anything else of it last changed.

    The last one cannot be set by anybody, and changes with the mode, too.
    """
    return f"{status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def is_settled(status: os.stat_result) -> bool:
    """Whether a later change would have a later time: one in the same step of the clock would not show."""
    return time.time_ns() - status.st_ctime_ns > _TICK


def wait_for_a_step() -> None:
    """Wait until whatever was written before is settled."""
    time.sleep(_TICK * 1.1e-9)
