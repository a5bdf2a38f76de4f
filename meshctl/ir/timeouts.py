"""How long a request may take."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from meshctl.diagnostics import Position
from meshctl.ir.features import Feature, needs
from meshctl.ir.written import Written

_UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms"))


def duration_text(duration: timedelta) -> str:
    """As a user would write it, in whole milliseconds: ``1m30s``."""
    left = duration // timedelta(milliseconds=1)
    parts = []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


class Timeout(Written, frozen=True):
    """From the last byte of the request to the last byte of the response, all tries included.

    Zero switches it off. Where nobody wrote one (``at`` is None) a target may use its nearest native
    timer for our default; a written one is exact: 504 before the response head, a reset afterwards.
    """

    duration: Annotated[timedelta, needs(Feature.TIMEOUT)]
    at: Position | None = None

    @property
    def written(self) -> bool:
        """Whether the user asked for this timeout."""
        return self.at is not None


class BodyTimeout(Written, frozen=True):
    """How long an upload may stand still: so long without a byte of a request's body that is not complete.

    The answer is 408, or the connection is cut. Zero: only the idle timeout bounds it.
    """

    duration: Annotated[timedelta, needs(Feature.BODY_TIMEOUT)] = timedelta(0)
    at: Position | None = None
