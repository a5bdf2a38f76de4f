"""Whether the draws of a world fall as the weights say, within the binomial's bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

from meshctl import ir, simulate
from tests.behaviour.binomial import bounds
from tests.behaviour.simulated import request_of
from tests.differential.exchanges import Exchange
from tests.differential.worlds import caller_name

Split = tuple[str, str, str]
"""Caller, virtual host and route."""


def share_faults(mesh: ir.Mesh, exchanges: list[Exchange]) -> Iterator[tuple[Exchange, str]]:
    """Splits over several services of which one has too many requests, or too few, with the last of them."""
    taken: dict[Split, Counter[str]] = {}
    shares: dict[Split, dict[str, Fraction]] = {}
    last: dict[Split, Exchange] = {}
    for each in exchanges:
        outcome = simulate.answer(mesh, caller_name(each.caller), request_of(each.row))
        wanted = _by_service(outcome)
        if len(wanted) > 1 and each.arrivals:
            split = (str(each.caller), outcome.virtual_host, outcome.route)
            shares[split], last[split] = wanted, each
            taken.setdefault(split, Counter())[each.arrivals[0]["service"]] += 1
    for split, counts in taken.items():
        for service, share in shares[split].items():
            low, high = bounds(counts.total(), float(share))
            if not low <= counts[service] <= high:
                told = f"{counts[service]} of {counts.total()} requests of {split[2]}, not {low} to {high}"
                yield last[split], f"`{service}` was drawn for {told}: its share is {share}"


def _by_service(outcome: simulate.Outcome) -> dict[str, Fraction]:
    """Nothing where not every draw can be told from what applications saw."""
    found: dict[str, Fraction] = {}
    for each in outcome.backends:
        if each.received is None:
            return {}
        service = each.cluster.partition(".")[0]
        found[service] = found.get(service, Fraction(0)) + each.share
    return found
