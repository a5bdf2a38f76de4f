"""Readiness and build id."""

from __future__ import annotations

from meshctl import ir
from meshctl.targets.nginx import quoting
from meshctl.targets.nginx.model import Admin


def admin(sidecar: ir.Sidecar) -> Admin:
    """The listener for probes. NGINX has no control interface but signals."""
    build = {
        "mesh": sidecar.mesh,
        "service": sidecar.service,
        "instance": sidecar.instance,
        "proxy": sidecar.proxy.value,
        "build": sidecar.build,
    }
    return Admin(quoting.address(sidecar.admin.bind), quoting.json_object(build))
