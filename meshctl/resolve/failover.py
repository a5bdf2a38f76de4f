"""Locality: the endpoints of a callee in levels, by their zones and the caller's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from meshctl import ir
from meshctl.diagnostics import Position
from meshctl.resolve.layers import Layers, merged


class Locality(Struct, frozen=True):
    """What the layers say together. ``at``: the most particular one that says anything."""

    prefer_same_zone: bool
    failover: tuple[str, ...]
    at: Position | None


def locality(layers: Layers) -> Locality | None:
    """Which zones come first; None where all endpoints are alike. Maps of all layers merge field by field."""
    written, at = merged(layers, "locality", "locality")
    if written is None:
        return None
    made = Locality(written.get("prefer_same_zone", False), tuple(written.get("failover", ())), at)
    return made if made.prefer_same_zone or made.failover else None


def levels(zones: Sequence[str], own: str, wanted: Locality | None) -> list[int]:
    """The priority of an endpoint in each of these zones, for a caller in the zone ``own``, without gaps.

    The own zone comes first, then those of `failover` in order, then the rest. Empty: a zone that nobody knows.
    """
    if wanted is None:
        return [0] * len(zones)
    first = (own,) if wanted.prefer_same_zone and own else ()
    order = dict.fromkeys((*first, *wanted.failover))
    ranks = {zone: rank for rank, zone in enumerate(order)}
    found = [ranks.get(zone, len(ranks)) for zone in zones]
    dense = {rank: level for level, rank in enumerate(sorted(set(found)))}
    return [dense[rank] for rank in found]


def asks(wanted: Locality | None) -> Iterator[ir.FeatureUse]:
    """What the callers' proxies must be able to do."""
    if wanted is not None and wanted.at is not None:
        yield ir.FeatureUse(ir.Feature.LOCALITY, wanted.at)
