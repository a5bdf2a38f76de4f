"""Endpoints that are left alone because they fail: Lua counts, and drains their servers in every section.

HAProxy's own ``observe`` has no bound on how many are out, takes neither 501, 505 nor the hop status for an error,
sees no answer that a retry consumes, and needs an active check.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from meshctl import ir
from meshctl.targets.haproxy import quoting
from meshctl.targets.haproxy.quoting import Token

SCRIPT = "outliers.lua"

_SLACK = timedelta(milliseconds=20)
_AFTER = timedelta(seconds=1)


def observes(cluster: ir.Cluster) -> bool:
    """Whether any endpoint can be ejected at all: the only one never is."""
    policy = cluster.outlier_detection
    if policy is None or cluster.protocol is ir.Protocol.TCP:
        return False
    return cluster.dns is not None or policy.limit(len(cluster.endpoints)) > 0


def observation(cluster: ir.Cluster, sections: Iterable[Token]) -> Token | None:
    """The sample that tells Lua of an answer; ``sections`` are those whose servers an ejection drains."""
    policy = cluster.outlier_detection
    if policy is None or not observes(cluster):
        return None
    milliseconds = max(policy.ejection_time // timedelta(milliseconds=1), 1)
    share = f"{policy.max_ejected.numerator},{policy.max_ejected.denominator}"
    names = quoting.word(f'"{" ".join(sections)}"')
    return Token(f"lua.outlier({names},{policy.consecutive_errors},{milliseconds},{share})")


def late(cluster: ir.Cluster, sections: Iterable[Token]) -> Token | None:
    """The same of a try that the section before it has cut off; it knows only the numbers of endpoints of ours."""
    return None if cluster.dns else observation(cluster, sections)


def response_timeout(cluster: ir.Cluster, deadline: timedelta) -> timedelta:
    """The time of a try which ends after that of the section before it, so that it is counted there and only there.

    Where that section cannot tell the endpoint it is the other way round.
    """
    return deadline - min(_SLACK, deadline / 10) if cluster.dns else deadline + _AFTER
