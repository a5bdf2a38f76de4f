"""What `metrics.lua` counts by: a line for each request, in a ring that the sidecar itself reads."""

from __future__ import annotations

from datetime import timedelta

from meshctl import ir
from meshctl.targets.haproxy import quoting
from meshctl.targets.haproxy.model import Metrics

SCRIPT = "metrics.lua"

_MILLISECOND = timedelta(milliseconds=1)


def metrics(sidecar: ir.Sidecar) -> Metrics | None:
    """None where nothing is counted."""
    its = sidecar.metrics
    if its is None:
        return None
    return Metrics(
        labels=quoting.word(f'mesh="{sidecar.mesh}",service="{sidecar.service}"'),
        service=quoting.word(sidecar.service),
        buckets=quoting.word(" ".join(str(each // _MILLISECOND) for each in its.buckets)),
        build=quoting.word(sidecar.build),
        ejecting=quoting.word(" ".join(sidecar.ejecting)) if sidecar.ejecting else None,
    )


def scripts(sidecar: ir.Sidecar) -> tuple[str, ...]:
    """Files of Lua that counting takes; the second one is asked for by the first."""
    return (SCRIPT, "certificate.lua") if sidecar.metrics is not None else ()
