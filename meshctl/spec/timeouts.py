"""`timeout`, `bodyTimeout`, `streaming`, `connectTimeout`, `idleTimeout`: fields of every traffic policy."""

from __future__ import annotations

from meshctl.spec.types import Duration, Flag, Given, Model, PositiveDuration


class RouteTimeoutsSpec(Model):
    """As written. ``0s`` switches one off; `streaming` leaves only the idle timeout."""

    timeout: Given[Duration] = None
    body_timeout: Given[Duration] = None
    streaming: Given[Flag] = None


class TimeoutsSpec(RouteTimeoutsSpec):
    """Those of connections cannot be switched off."""

    connect_timeout: Given[PositiveDuration] = None
    idle_timeout: Given[PositiveDuration] = None
