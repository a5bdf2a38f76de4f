"""How the requests of one route are shared out: ``split_clients`` over a random id.

It knows hundredths of a percent. What does not come out even is drawn again, by another hash of the same
id, so shares are exact to one in a hundred million.
"""

from __future__ import annotations

from collections.abc import Sequence

from meshctl.targets.nginx import quoting
from meshctl.targets.nginx.model_destinations import Share, Split
from meshctl.targets.nginx.quoting import Token

WHOLE = 10_000
"""Hundredths of a percent."""

_KEYS = (Token('"${request_id}"'), Token('"${request_id}+"'))


def splits(number: int, backends: Sequence[tuple[Token, int]]) -> tuple[Split, ...]:
    """The draws of one route, the first one first. ``backends`` are where they lead, with weights."""
    total = sum(weight for _, weight in backends)
    parts = [weight * WHOLE // total for _, weight in backends]
    rests = [weight * WHOLE % total for _, weight in backends]
    first = quoting.variable("split", number)
    even = [(leads_to, part) for (leads_to, _), part in zip(backends, parts, strict=True)]
    if not any(rests):
        return (_split(first, _KEYS[0], even),)
    second = quoting.variable("split_again", number)
    uneven = [(leads_to, rest) for (leads_to, _), rest in zip(backends, _rounded(rests), strict=True)]
    return (
        _split(first, _KEYS[0], [*even, (second, WHOLE - sum(parts))]),
        _split(second, _KEYS[1], uneven),
    )


def _rounded(shares: Sequence[int]) -> list[int]:
    """Hundredths of a percent that sum to the whole, the largest remainders rounded up."""
    total = sum(shares)
    parts = [share * WHOLE // total for share in shares]
    by_remainder = sorted(range(len(shares)), key=lambda index: (-(shares[index] * WHOLE % total), index))
    for index in by_remainder[: WHOLE - sum(parts)]:
        parts[index] += 1
    return parts


def _split(variable: Token, key: Token, shares: Sequence[tuple[Token, int]]) -> Split:
    drawn = [(leads_to, part) for leads_to, part in shares if part]
    # The last one takes the rest, or a draw at the very end of the range would lead nowhere.
    parts = [*(quoting.percentage(part) for _, part in drawn[:-1]), Token("*")]
    return Split(
        variable=variable,
        draw=quoting.drawn(variable),
        key=key,
        shares=tuple(
            Share(part, number, leads_to)
            for number, (part, (leads_to, _)) in enumerate(zip(parts, drawn, strict=True), start=1)
        ),
    )
