"""What fails on purpose before a request is sent on."""

from __future__ import annotations

from meshctl.ir import Route
from meshctl.simulate.outcome import Pause


def delay(route: Route) -> Pause | None:
    """How long a share of the requests waits first."""
    found = route.fault.delay if route.fault is not None else None
    return Pause(found.duration, found.share) if found is not None else None


def abort(route: Route) -> int | None:
    """The status that every request gets, whatever is drawn."""
    found = route.fault.abort if route.fault is not None else None
    return found.status if found is not None and found.share == 1 else None
