"""`timeout`, `connectTimeout`, `idleTimeout`: fields of every traffic policy."""

from __future__ import annotations

from meshctl.spec.types import Duration, Given, Model, PositiveDuration


class TimeoutsSpec(Model):
    """As written. ``0s`` switches `timeout` off; the others cannot be switched off."""

    timeout: Given[Duration] = None
    connect_timeout: Given[PositiveDuration] = None
    idle_timeout: Given[PositiveDuration] = None
