"""How long a request may take."""

from __future__ import annotations

from datetime import timedelta

from meshctl.ir import Timeout


def limit(timeout: Timeout) -> timedelta | None:
    """The whole request's time over all tries; None where it is switched off."""
    return timeout.duration or None
