"""Copies of requests."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

from meshctl.diagnostics import Position
from meshctl.ir.features import Feature, needs
from meshctl.ir.written import Written


class Mirror(Written, frozen=True):
    """A copy of what the route's backend gets (after all filters, the same Host) goes to ``cluster`` too.

    ``share`` of the requests, drawn for each mirror by itself; 0 mirrors nothing. The copy is sent once, never
    tried again, within the route's timeout; its answer is dropped. It never delays, fails or changes the request.
    """

    cluster: Annotated[str, needs(Feature.MIRRORING)]
    share: Fraction
    at: Position | None = None
