"""The HAProxy target: HAProxy 2.6, as in Debian 12."""

from __future__ import annotations

from datetime import timedelta

from meshctl.artifacts import Artifact
from meshctl.ir import Proxy, Sidecar
from meshctl.targets.base import Commands
from meshctl.targets.haproxy.capabilities import CAPABILITIES, CONFLICTS
from meshctl.targets.haproxy.reload import CHECK, PID_FILE

__all__ = ["CAPABILITIES", "COMMANDS", "CONFLICTS", "PROXY", "VERSION", "emit"]

PROXY = Proxy.HAPROXY
VERSION = "2.6"


def _packages(sidecar: Sidecar) -> tuple[str, ...]:
    verifies = sidecar.inbound is not None and sidecar.inbound.authorization.issuers
    return ("lua-luaossl",) if verifies else ()


COMMANDS = Commands(
    binary="haproxy",
    packages=("haproxy",),
    check=CHECK,
    reload="./reload",
    version="-v",
    pid_file=PID_FILE,
    # SIGUSR1 would take a minute even where nothing is under way, and nobody listens as long (2.6.12).
    stop="SIGTERM",
    drain=timedelta(0),
    packages_for=_packages,
)


def emit(sidecar: Sidecar) -> tuple[Artifact, ...]:
    """``haproxy.cfg`` and ``run``, tables of routes, and the Lua that some features take."""
    # Imported here: who only validates needs the tables above, not the emitter.
    from meshctl.targets.haproxy import metrics, reload
    from meshctl.targets.haproxy.assemble import assemble
    from meshctl.targets.haproxy.process import run
    from meshctl.targets.haproxy.render import render, script

    configuration = assemble(sidecar)
    return (
        Artifact("haproxy/haproxy.cfg", render(configuration)),
        Artifact("haproxy/reload", reload.script(sidecar), executable=True),
        Artifact("haproxy/run", run(sidecar), executable=True),
        *(Artifact(f"haproxy/{name}", content) for name, content in configuration.files.items()),
        *(Artifact(f"haproxy/{name}", script(name)) for name in configuration.scripts),
        *(Artifact(f"haproxy/{name}", script(name)) for name in metrics.scripts(sidecar)),
    )
