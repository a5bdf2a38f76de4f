"""How much may be under way to one callee from one sidecar."""

from __future__ import annotations

from meshctl.ir.features import FeatureUse
from meshctl.ir.written import Written


class CircuitBreaker(Written, frozen=True):
    """Bounds for one cluster; what goes over is answered 503 at once.

    ``max_pending`` requests may wait for a connection while all ``max_connections`` are in use; None: nobody
    waits. ``max_retries`` retries may be under way at once; with more, the last answer is
    handed on. None: as many as ``max_requests``, or as the route's retry budget says.
    """

    max_connections: int
    max_requests: int
    max_pending: int | None = None
    max_retries: int | None = None
    asks: tuple[FeatureUse, ...] = ()
    """Each bound for itself, for the others may be our defaults."""
