"""Failures on purpose, in the caller's sidecar, once a request."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from typing import Annotated

from meshctl.diagnostics import Position
from meshctl.ir.features import Feature, needs


@dataclass(frozen=True, slots=True)
class Delay:
    """A pause before the first try, for a ``share`` of the requests; outside the route's timeout."""

    duration: Annotated[timedelta, needs(Feature.FAULT_DELAY)]
    share: Fraction
    at: Position | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Abort:
    """An answer of the sidecar's own instead of the callee's, for a ``share`` of the requests.

    Nothing is sent on, mirrored or tried again, and no response header of the route is set.
    """

    status: Annotated[int, needs(Feature.FAULT_ABORT)]
    share: Fraction
    at: Position | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Fault:
    """The delay comes first; each draws for itself."""

    delay: Delay | None = None
    abort: Abort | None = None
