"""`locality`: which zones are asked first."""

from __future__ import annotations

from meshctl.spec.types import Flag, Given, Model, Name


class LocalitySpec(Model):
    """The own zone, then those of `failover` in order; a level counts when the earlier ones have nobody left."""

    prefer_same_zone: Given[Flag] = None
    failover: Given[list[Name]] = None
