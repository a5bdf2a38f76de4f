"""What becomes of a request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from meshctl.ir import RetryCondition, WorkloadIdentity


@dataclass(frozen=True, slots=True)
class Backend:
    """One cluster that may be drawn. ``status`` is a proxy's answer then; None: its application answers."""

    cluster: str
    share: Fraction
    callee: WorkloadIdentity
    status: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How far a request comes, and under which policy; fields behind the last step are empty.

    ``status`` is set when a proxy gives the same answer whatever is drawn, and ``reason`` says why.
    """

    status: int | None = None
    reason: str = ""
    virtual_host: str = ""
    """The callee's service name."""
    route: str = ""
    backends: tuple[Backend, ...] = ()
    timeout: timedelta | None = None
    """Over all tries; None: no limit."""
    attempts: int = 0
    """Tries after the first that this request's method may get."""
    retry_on: tuple[RetryCondition, ...] = ()
