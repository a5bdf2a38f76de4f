"""`slo`: what a service promises its callers, as shares of requests over a window."""

from __future__ import annotations

import re
from datetime import timedelta
from fractions import Fraction
from typing import Annotated, Any

from pydantic import AfterValidator, WithJsonSchema

from meshctl.spec.types import (
    DURATION_PATTERN,
    Before,
    Duration,
    Given,
    Model,
    PositiveDuration,
    refuse,
    text,
)

_SHARE_PATTERN = r"^[5-9][0-9](\.[0-9]{1,4})?%$"
_PERCENTILE_PATTERN = r"^p[5-9][0-9](\.[0-9]{1,2})?$"
_SHARE = re.compile(_SHARE_PATTERN)
_PERCENTILE = re.compile(_PERCENTILE_PATTERN)
SHORTEST_WINDOW, LONGEST_WINDOW = timedelta(days=28), timedelta(days=56)
"""Longer, and half of the requests could fail without a budget that burns too fast (meshctl/observability/slo.py)."""


def _share(value: Any) -> Fraction:  # noqa: ANN401 - a validator sees raw nodes
    expected = "a percentage with its sign from 50% to 99.9999%, such as 99.9%"
    written = text(value, expected)
    if written.endswith("\n") or not _SHARE.match(written):
        raise refuse(expected)
    return Fraction(written[:-1]) / 100


def _percentile(value: Any) -> str:  # noqa: ANN401
    expected = "a percentile from p50 to p99.99, such as p99"
    written = text(value, expected)
    if written.endswith("\n") or not _PERCENTILE.match(written):
        raise refuse(expected)
    return written


Share = Annotated[Fraction, Before(_share), WithJsonSchema({"type": "string", "pattern": _SHARE_PATTERN})]
"""Of requests, from 0.5 to less than 1: an objective of all requests leaves no budget that could burn."""

Percentile = Annotated[
    str, Before(_percentile), WithJsonSchema({"type": "string", "pattern": _PERCENTILE_PATTERN})
]


def _window(value: timedelta) -> timedelta:
    if not SHORTEST_WINDOW <= value <= LONGEST_WINDOW:
        raise refuse("a duration from 28d to 56d")
    return value


Window = Annotated[
    Duration,
    AfterValidator(_window),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "minLength": 2}),
]


class SloSpec(Model):
    """`availability` is the share of requests that are answered without a 5xx, `latency` how long a share of them may take at most."""

    availability: Given[Share] = None
    latency: Given[dict[Percentile, PositiveDuration]] = None
    window: Given[Window] = None
