"""How the requests of one route are shared out."""

from __future__ import annotations

from msgspec import Struct


class WeightedCluster(Struct, frozen=True):
    """A share of a route's requests. Weights are at least 1 and count against the route's sum.

    Each request draws for itself; the draw stands for all its tries.
    """

    cluster: str
    weight: int
