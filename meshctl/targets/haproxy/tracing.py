"""How many of the traces that begin at this sidecar are sampled. HAProxy sends no spans, see `tracing.cfg.j2`."""

from __future__ import annotations

from meshctl import ir
from meshctl.targets.haproxy.model import Sampling


def sampling(tracing: ir.Tracing | None) -> Sampling | None:
    """None where no trace begins or is changed here."""
    if tracing is None:
        return None
    return Sampling(range=tracing.sampling.denominator, below=tracing.sampling.numerator)
