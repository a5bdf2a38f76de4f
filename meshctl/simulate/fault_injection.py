"""What fails on purpose before a request is sent on."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl.ir import Route, duration_text
from meshctl.simulate.outcome import Pause
from meshctl.simulate.steps import Step, Topic, percent


def delay(route: Route) -> Pause | None:
    """How long a share of the requests waits first."""
    found = route.fault.delay if route.fault is not None else None
    return Pause(found.duration, found.share) if found is not None else None


def abort(route: Route) -> int | None:
    """The status that every request gets, whatever is drawn."""
    found = route.fault.abort if route.fault is not None else None
    return found.status if found is not None and found.share == 1 else None


def told(route: Route) -> Iterator[Step]:
    """The delay and the abort, in this order."""
    if route.fault is None:
        return
    if (pause := route.fault.delay) is not None:
        text = f"{percent(pause.share)} of the requests wait {duration_text(pause.duration)} first"
        yield Step(Topic.FAULT, text, pause.at)
    if (stop := route.fault.abort) is not None:
        yield Step(Topic.FAULT, f"{percent(stop.share)} of the requests are answered {stop.status}", stop.at)
