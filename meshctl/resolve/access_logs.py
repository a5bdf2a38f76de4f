"""Access logs: on, in the one schema."""

from __future__ import annotations

from meshctl import ir
from meshctl.spec import Spec


def access_log(spec: Spec) -> ir.AccessLog:
    """The access log of every sidecar."""
    written = spec.written.mesh.access_log
    return ir.AccessLog(enabled=True, at=spec.source["mesh"].at("accessLog") if written is not None else None)
