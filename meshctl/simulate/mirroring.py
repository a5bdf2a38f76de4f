"""What becomes of the copies of a request."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl.ir import Mesh, Route, Sidecar
from meshctl.simulate import splitting
from meshctl.simulate.message import Request
from meshctl.simulate.outcome import Backend
from meshctl.simulate.steps import Step, Topic, percent


def copies(mesh: Mesh, caller: Sidecar, route: Route, sent: Request) -> tuple[Backend, ...]:
    """Where copies go, each with the share of the requests that are copied; each draws for itself."""
    clusters = {each.name: each for each in caller.clusters}
    return tuple(
        splitting.backend(mesh, caller, clusters[each.cluster], each.share, sent) for each in route.mirrors
    )


def told(route: Route) -> Iterator[Step]:
    """Who gets copies."""
    for each in route.mirrors:
        text = (
            f"{percent(each.share)} of the requests are copied to `{each.cluster}`; its answers are dropped"
        )
        yield Step(Topic.MIRROR, text, each.at)
