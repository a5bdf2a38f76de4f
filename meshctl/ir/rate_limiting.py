"""How often a service may be called."""

from __future__ import annotations

from datetime import timedelta
from math import ceil
from typing import Annotated

from meshctl.diagnostics import Position
from meshctl.ir.features import Feature, Needs, needs
from meshctl.ir.written import Written


def _needed_by_key(by_caller: bool) -> tuple[Feature, ...]:  # noqa: FBT001 - called by position
    return (Feature.RATE_LIMIT_PER_CALLER,) if by_caller else ()


class RateLimit(Written, frozen=True):
    """A token bucket in the callee's sidecar, all its workers together; with ``by_caller`` one for each identity.

    It holds ``burst`` tokens at most, is full at the start, and gets ``requests`` evenly over each ``per``. A
    request that finds none is answered 429 with ``retry-after: <retry_after>``. Asked after authorization, so that
    nobody who is refused uses anything up; what is exempt from authorization is exempt here.
    """

    requests: Annotated[int, needs(Feature.RATE_LIMITING)]
    per: timedelta
    burst: int
    by_caller: Annotated[bool, Needs(_needed_by_key)]
    at: Position | None = None

    @property
    def interval(self) -> timedelta:
        """How long one token takes to come."""
        return self.per / self.requests

    @property
    def retry_after(self) -> int:
        """Whole seconds until there is a token again, at least 1."""
        return max(1, ceil(self.interval.total_seconds()))
