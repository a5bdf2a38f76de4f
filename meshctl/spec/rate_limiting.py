"""`rateLimit`: how often a service may be called, counted in each of its sidecars."""

from __future__ import annotations

from typing import Literal

from meshctl.spec.types import Count, Given, Model, PositiveDuration


class RateLimitSpec(Model):
    """So many `requests` in `per`, of which `burst` may come at once (as many as that, unless written); for each caller with `key: caller`."""

    requests: Count
    per: PositiveDuration
    burst: Given[Count] = None
    key: Given[Literal["caller"]] = None
