"""How long a request may take."""

from __future__ import annotations

from datetime import timedelta

from meshctl.ir import BodyTimeout, PerTryTimeout, Timeout


def limit(timeout: Timeout | PerTryTimeout | BodyTimeout) -> timedelta | None:
    """The time; None where it is switched off."""
    return timeout.duration or None
