"""Endpoints that are left alone for a while because they fail."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import Annotated

from meshctl.diagnostics import Position
from meshctl.ir.features import Feature, needs
from meshctl.ir.written import Written


class OutlierDetection(Written, frozen=True):
    """Of one cluster, counted in this sidecar alone.

    An error is an answer 500 to 599, the hop status, a connection that failed or broke before the answer's head,
    or a try that ran out of time; each try counts. ``consecutive_errors`` of one endpoint in a row eject it for
    ``ejection_time`` (always the same; it may end up to ``interval`` later). An answer that is no error starts the
    count anew. While as many are out as :meth:`limit` says, nobody else is ejected.
    """

    consecutive_errors: Annotated[int, needs(Feature.OUTLIER_DETECTION)]
    interval: timedelta
    ejection_time: timedelta
    max_ejected: Fraction
    at: Position | None = None

    def limit(self, endpoints: int) -> int:
        """How many of so many may be out at once: the share, but one at least; the only one never is."""
        return max(1, int(endpoints * self.max_ejected)) if endpoints > 1 else 0
