"""Metrics: the same series with the same buckets on all sidecars, where the spec asks for them."""

from __future__ import annotations

from datetime import timedelta

from meshctl import ir
from meshctl.spec import Spec

BUCKETS = tuple(
    timedelta(milliseconds=each)
    for each in (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000)
)


def metrics(spec: Spec) -> ir.Metrics | None:
    """What every sidecar counts, or None where the spec asks for nothing."""
    if spec.written.mesh.metrics is None:
        return None
    return ir.Metrics(BUCKETS, at=spec.source["mesh"].at("metrics"))
