"""What `metrics.lua` counts by."""

from __future__ import annotations

from datetime import timedelta

from meshctl import ir
from meshctl.targets.nginx import quoting
from meshctl.targets.nginx.model import Metrics

_MILLISECOND = timedelta(milliseconds=1)


def metrics(sidecar: ir.Sidecar) -> Metrics | None:
    """None where nothing is counted."""
    its = sidecar.metrics
    if its is None:
        return None
    return Metrics(
        labels=quoting.lua_string(f'mesh="{sidecar.mesh}",service="{sidecar.service}"'),
        service=quoting.lua_string(sidecar.service),
        buckets=tuple(each // _MILLISECOND for each in its.buckets),
        build=quoting.lua_string(sidecar.build),
        ejecting=tuple(quoting.lua_string(each) for each in sidecar.ejecting),
    )
