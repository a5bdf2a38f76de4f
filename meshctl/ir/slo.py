"""Service level objectives: what a service promises its callers."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

from msgspec import Struct


class LatencyObjective(Struct, frozen=True):
    """``share`` of the requests take no longer than ``within``, which is a bound of the histogram that metrics keep."""

    share: Fraction
    within: timedelta


class ServiceLevel(Struct, frozen=True):
    """What callers see, at their own sidecars: answers after all retries, mesh-made ones too.

    ``availability`` is the share of requests that are answered without a 5xx; None where nothing is promised. Over
    ``window`` the share that is left to 1 is the error budget.
    """

    availability: Fraction | None
    latency: tuple[LatencyObjective, ...]
    window: timedelta
