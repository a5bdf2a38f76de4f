"""What decides beyond a cluster's turns, all of it, and what Lua needs for it."""

from __future__ import annotations

from collections.abc import Sequence

from meshctl import ir
from meshctl.targets.nginx import health_checks, load_balancing
from meshctl.targets.nginx.model_policies import Mirroring, Policies

_MOST_TIMERS = 16_384
"""Of one worker: copies that are under way have one each."""


def policies(clusters: Sequence[ir.Cluster], mirroring: Mirroring | None) -> Policies:
    """For the clusters that routes lead to."""
    watches = [load_balancing.watch(each) for each in clusters]
    checks = tuple(health_checks.checks(clusters))
    return Policies(
        watches=tuple(each for each in watches if each is not None),
        checks=checks,
        mirroring=mirroring,
        observes=any(load_balancing.observed(each) for each in clusters),
        timers=_MOST_TIMERS if checks or mirroring else None,
    )
