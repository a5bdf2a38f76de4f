"""Ends what a dead parent left behind.

Runs beside the processes that ``up`` and the live tests start, reads ``+PGID`` and ``-PGID`` lines
from its parent, and ends the process groups that are left when the pipe closes: also after SIGKILL, when
nobody else can. Not PR_SET_PDEATHSIG: that fires when the starting *thread* ends, and not for the
grandchildren that proxies fork.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

GRACE = 3.0
"""Seconds between SIGTERM and SIGKILL."""


def main() -> None:
    """Read until the parent is gone, then end what is left."""
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    _signal(groups, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline and (groups := {group for group in groups if _alive(group)}):
        time.sleep(0.05)
    _signal(groups, signal.SIGKILL)


def _signal(groups: set[int], number: int) -> None:
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    # Ctrl-C and a closing terminal are for the parent; its end is the sign to act.
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    main()
