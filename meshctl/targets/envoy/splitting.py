"""How the requests of one route are shared out."""

from __future__ import annotations

from math import gcd

from meshctl.ir import WeightedCluster
from meshctl.targets.envoy.protobuf import Message


def backends(weighted: tuple[WeightedCluster, ...]) -> Message:
    """Fields of a RouteAction. The draw is made once a request and stands for all its tries."""
    if len(weighted) == 1:
        return {"cluster": weighted[0].cluster}
    divisor = gcd(*(each.weight for each in weighted))
    return {
        "weighted_clusters": {
            "clusters": [{"name": each.cluster, "weight": each.weight // divisor} for each in weighted]
        }
    }
