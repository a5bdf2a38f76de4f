"""How much may be under way to one callee."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl.ir import Cluster, Feature
from meshctl.simulate.steps import Step, Topic, place_of

_BOUNDS = (Feature.MAX_REQUESTS, Feature.MAX_CONNECTIONS, Feature.MAX_PENDING)


def told(cluster: Cluster) -> Iterator[Step]:
    """The bounds over which the answer is 503."""
    its = cluster.circuit_breaker
    waiting = f", {its.max_pending} waiting" if its.max_pending is not None else ""
    text = f"{its.max_requests} requests on {its.max_connections} connections{waiting}; over that 503 at once"
    yield Step(Topic.CIRCUIT_BREAKER, text, place_of(its.asks, *_BOUNDS))
