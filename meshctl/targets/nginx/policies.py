"""What decides beyond a cluster's turns, all of it, and what Lua needs for it."""

from __future__ import annotations

from collections.abc import Sequence

from meshctl import ir
from meshctl.targets.nginx import circuit_breaking, health_checks, load_balancing
from meshctl.targets.nginx.model_policies import Mirroring, Policies
from meshctl.targets.nginx.quoting import Token

_MOST_TIMERS = 16_384
"""Of one worker: copies that are under way have one each."""


def policies(clusters: Sequence[ir.Cluster], mirroring: Mirroring | None) -> Policies:
    """For the clusters that routes lead to."""
    watches = [load_balancing.watch(each) for each in clusters]
    checks = tuple(health_checks.checks(clusters))
    queues = tuple(circuit_breaking.queues(clusters))
    observes = any(load_balancing.observed(each) for each in clusters)
    calls = [*(["peers.ended()"] if observes else []), *(["circuit_breaking.ended()"] if queues else [])]
    return Policies(
        watches=tuple(each for each in watches if each is not None),
        checks=checks,
        mirroring=mirroring,
        queues=queues,
        observes=observes,
        log=Token(" ".join(calls)) if calls else None,
        timers=_MOST_TIMERS if checks or mirroring else None,
    )
