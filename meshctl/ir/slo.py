"""Service level objectives: what a service promises its callers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class LatencyObjective:
    """``share`` of the requests take no longer than ``within``, which is a bound of the histogram that metrics keep."""

    share: Fraction
    within: timedelta


@dataclass(frozen=True, slots=True)
class ServiceLevel:
    """What callers see, at their own sidecars: answers after all retries, mesh-made ones too.

    ``availability`` is the share of requests that are answered without a 5xx; None where nothing is promised. Over
    ``window`` the share that is left to 1 is the error budget.
    """

    availability: Fraction | None
    latency: tuple[LatencyObjective, ...]
    window: timedelta
