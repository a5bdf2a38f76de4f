"""Envoy: a bootstrap in JSON, and all that may change under load from files that are watched."""

from __future__ import annotations

from meshctl.artifacts import Artifact
from meshctl.ir import Proxy, Sidecar
from meshctl.targets.envoy.capabilities import CAPABILITIES, VERSION
from meshctl.targets.envoy.conflicts import CONFLICTS
from meshctl.targets.envoy.process import COMMANDS

PROXY = Proxy.ENVOY

__all__ = ["CAPABILITIES", "COMMANDS", "CONFLICTS", "PROXY", "VERSION", "emit"]


def emit(sidecar: Sidecar) -> tuple[Artifact, ...]:
    """``bootstrap.json`` and what it subscribes to, ``run`` and ``reload``."""
    # Imported here: who only validates needs the tables above, not the emitter.
    from meshctl.targets.envoy import assemble

    return assemble.emit(sidecar)
