"""A new build in the running sidecar: the master passes the listeners' sockets to new workers."""

from __future__ import annotations

from meshctl import ir
from meshctl.targets import reload
from meshctl.targets.haproxy import gateways

PID_FILE = "../run/haproxy.pid"
# Not quiet (`-q`): then it does not say what it refuses either.
CHECK = ("-c", "-dW", "-f", "haproxy.cfg")


def script(sidecar: ir.Sidecar) -> bytes:
    """``reload``."""
    links = "".join(gateways.links(sidecar.outbound))
    return reload.of_workers(sidecar, pid_file=PID_FILE, check=CHECK, signal="USR2", first=links)
