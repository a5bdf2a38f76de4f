"""Endpoints that are asked how they are."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl.ir import Cluster, duration_text
from meshctl.simulate.steps import Step, Topic


def told(cluster: Cluster) -> Iterator[Step]:
    """How endpoints are asked, and when they are out."""
    its = cluster.health_check
    if its is not None:
        what = f"{its.kind.upper()} {its.path}".strip()
        text = (
            f"every endpoint is asked by {what} each {duration_text(its.interval)}, "
            f"and out after {its.unhealthy_threshold} failures in a row"
        )
        yield Step(Topic.HEALTH, text, its.at)
