"""The NGINX target: NGINX 1.22 with the Lua, stream and njs modules, as in Debian 12."""

from __future__ import annotations

from datetime import timedelta

from meshctl.artifacts import Artifact
from meshctl.ir import Proxy, Sidecar
from meshctl.targets.base import Commands
from meshctl.targets.nginx.capabilities import CAPABILITIES, CONFLICTS
from meshctl.targets.nginx.reload import CHECK, PID_FILE

__all__ = ["CAPABILITIES", "COMMANDS", "CONFLICTS", "PROXY", "VERSION", "emit"]

PROXY = Proxy.NGINX
VERSION = "1.22"
COMMANDS = Commands(
    binary="nginx",
    packages=("nginx", "libnginx-mod-http-lua", "libnginx-mod-stream", "libnginx-mod-stream-js"),
    check=CHECK,
    reload="./reload",
    version="-v",
    pid_file=PID_FILE,
    stop="SIGQUIT",
    drain=timedelta(seconds=30),
)

_STATE = b"# What the running sidecar writes; never part of a build.\n*\n!.gitignore\n"


def emit(sidecar: Sidecar) -> tuple[Artifact, ...]:
    """``nginx.conf``, its modules of Lua, ``run``, and the folder that NGINX wants to find even when it only checks."""
    # Imported here: who only validates needs the tables above, not the emitter.
    from meshctl.targets.nginx import reload
    from meshctl.targets.nginx.assemble import assemble
    from meshctl.targets.nginx.check import check
    from meshctl.targets.nginx.render import program, render, run

    configuration = assemble(sidecar)
    return (
        Artifact("nginx/nginx.conf", render(configuration)),
        Artifact("nginx/check.conf", check(configuration)),
        *(Artifact(f"nginx/{name}", program(name)) for name in configuration.files),
        Artifact("nginx/reload", reload.script(sidecar), executable=True),
        Artifact("nginx/run", run(configuration.sockets), executable=True),
        Artifact("run/.gitignore", _STATE),
    )
