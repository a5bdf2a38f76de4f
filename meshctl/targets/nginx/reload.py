"""A new build in the running sidecar: the master makes new workers, and those of before serve to the end."""

from __future__ import annotations

from meshctl import ir
from meshctl.targets import reload

PID_FILE = "../run/nginx.pid"
CHECK = ("-t", "-q", "-p", ".", "-c", "check.conf", "-e", "stderr")


def script(sidecar: ir.Sidecar) -> bytes:
    """``reload``."""
    return reload.of_workers(sidecar, pid_file=PID_FILE, check=CHECK, signal="HUP")
