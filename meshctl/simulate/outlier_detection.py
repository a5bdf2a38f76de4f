"""Endpoints that are left alone for a while because they fail."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl.ir import Cluster, duration_text
from meshctl.simulate.steps import Step, Topic, percent


def told(cluster: Cluster) -> Iterator[Step]:
    """When an endpoint is ejected, and for how long."""
    its = cluster.outlier_detection
    if its is not None:
        text = (
            f"{its.consecutive_errors} errors in a row eject an endpoint for "
            f"{duration_text(its.ejection_time)}, {percent(its.max_ejected)} of them at most"
        )
        yield Step(Topic.HEALTH, text, its.at)
