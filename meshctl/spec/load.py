"""`load`: what a caller means to ask of a callee. Nothing of it is built: lint compares it with limits."""

from __future__ import annotations

from meshctl.spec.types import Count, Given, Model, PositiveDuration


class LoadSpec(Model):
    """So many `requests` in `per` of all the caller's instances together, each of which takes `latency` on average."""

    requests: Count
    per: PositiveDuration
    latency: Given[PositiveDuration] = None
