"""How often something may happen that happens with a known probability: the one place for that arithmetic."""

from __future__ import annotations

import math

UNLIKELY = 1e-7
"""A right implementation falls below a bound, or above it, once in ten million rows."""


def bounds(trials: int, probability: float) -> tuple[int, int]:
    """The smallest and the largest count that are not out of the question, by the exact tails.

    Counting begins where the terms are large enough to be told from nothing, so thousands of trials are no trouble.
    """
    if probability <= 0 or probability >= 1:
        sure = trials if probability >= 1 else 0
        return sure, sure
    terms = [_term(trials, count, probability) for count in range(trials + 1)]
    low, tail = 0, terms[0]
    while tail < UNLIKELY:
        low += 1
        tail += terms[low]
    high, tail = trials, terms[trials]
    while tail < UNLIKELY:
        high -= 1
        tail += terms[high]
    return low, high


def _term(trials: int, count: int, probability: float) -> float:
    ways = math.lgamma(trials + 1) - math.lgamma(count + 1) - math.lgamma(trials - count + 1)
    return math.exp(ways + count * math.log(probability) + (trials - count) * math.log1p(-probability))
