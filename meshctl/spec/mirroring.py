"""`mirror`: copies of requests, whose answers are dropped."""

from __future__ import annotations

from meshctl.spec.types import Given, Model, Name, Percent


class MirrorSpec(Model):
    """Exactly one of `subset` and `service`; all requests where no share is written."""

    subset: Given[Name] = None
    service: Given[Name] = None
    percent: Given[Percent] = None
