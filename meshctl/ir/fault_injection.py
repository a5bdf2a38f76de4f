"""Failures on purpose, in the caller's sidecar, once a request."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import Annotated

from msgspec import Struct

from meshctl.diagnostics import Position
from meshctl.ir.features import Feature, needs
from meshctl.ir.written import Written


class Delay(Written, frozen=True):
    """A pause before the first try, for a ``share`` of the requests; outside the route's timeout."""

    duration: Annotated[timedelta, needs(Feature.FAULT_DELAY)]
    share: Fraction
    at: Position | None = None


class Abort(Written, frozen=True):
    """An answer of the sidecar's own instead of the callee's, for a ``share`` of the requests.

    Nothing is sent on, mirrored or tried again, and no response header of the route is set.
    """

    status: Annotated[int, needs(Feature.FAULT_ABORT)]
    share: Fraction
    at: Position | None = None


class Fault(Struct, frozen=True):
    """The delay comes first; each draws for itself."""

    delay: Delay | None = None
    abort: Abort | None = None
