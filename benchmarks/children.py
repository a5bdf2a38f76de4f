"""What a child process costs: wall clock, processor time and memory, as medians of several runs."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""An installed package is compiled once, not by every run."""
UNKNOWN: Mapping[str, str] = {"MESHCTL_NO_CACHE": "1"}
"""As if nothing was ever asked before."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds by the clock, seconds of processor (user and system), peak memory in MB."""

    wall: float
    cpu: float
    megabytes: float


def cost(
    arguments: Sequence[str],
    *,
    runs: int,
    before_each: Callable[[], None] | None = None,
    folder: Path = ROOT,
    environment: Mapping[str, str] = UNKNOWN,
) -> Cost:
    """The medians over ``runs`` runs of ``python`` with ``arguments`` in ``folder``; one more run warms the caches.

    Raises RuntimeError when the program fails, since a failure is often quick.
    """
    costs = []
    for nth in range(runs + 1):
        if before_each:
            before_each()
        measured = _once(arguments, folder, environment)
        if nth:
            costs.append(measured)
    return Cost(
        statistics.median(each.wall for each in costs),
        statistics.median(each.cpu for each in costs),
        max(each.megabytes for each in costs),
    )


def _once(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Cost:
    started = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env={**_ENVIRONMENT, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    # wait4 and not Popen.wait: it gives the usage of this child alone, and of the children it waited for.
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {child.returncode}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
