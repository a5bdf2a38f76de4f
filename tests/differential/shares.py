"""How the requests of a route were shared out, against the weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction

from meshctl import ir, simulate
from tests.behaviour.binomial import bounds
from tests.behaviour.simulated import request_of
from tests.differential.exchanges import Exchange
from tests.differential.worlds import caller_name

Split = tuple[str, str, str, tuple[tuple[str, Fraction], ...]]
"""Caller, callee, route, and the share of each cluster."""


def share_faults(mesh: ir.Mesh, exchanges: Sequence[Exchange]) -> Iterator[tuple[Exchange, list[str]]]:
    """One request of each split of which a cluster got so many or so few as lots drawn by its weight do not give it.

    Only requests count that an application sees whichever is drawn, and splits without a service beside a subset of it:
    of others nobody knows the draw.
    """
    drawn: dict[Split, list[Exchange]] = {}
    for each in exchanges:
        split = _split(mesh, each)
        if split is not None and each.arrivals:
            drawn.setdefault(split, []).append(each)
    for split, its in drawn.items():
        faults = list(_odd(split, Counter(_cluster(each, split) for each in its)))
        if faults:
            yield its[0], faults


def _split(mesh: ir.Mesh, exchange: Exchange) -> Split | None:
    caller = caller_name(exchange.caller)
    outcome = simulate.answer(mesh, caller, request_of(exchange.row))
    names = [each.cluster for each in outcome.backends]
    torn = any(name.partition(".")[0] in names for name in names if "." in name)
    if len(names) < 2 or torn or any(each.received is None for each in outcome.backends):
        return None
    shares = tuple(sorted((each.cluster, each.share) for each in outcome.backends))
    return caller, outcome.virtual_host, outcome.route, shares


def _cluster(exchange: Exchange, split: Split) -> str:
    """Of the first try, for the draw stands for all of them. The subset, or the whole service."""
    first = exchange.arrivals[0]
    subset = f"{first['service']}.{first['instance'].partition('-')[0]}"
    return subset if subset in dict(split[3]) else str(first["service"])


def _odd(split: Split, counts: Counter[str]) -> Iterator[str]:
    total = counts.total()
    for cluster, share in split[3]:
        low, high = bounds(total, float(share))
        if not low <= counts[cluster] <= high:
            yield f"{cluster} got {counts[cluster]} of {total} requests; its share of {share} gives {low} to {high}"
