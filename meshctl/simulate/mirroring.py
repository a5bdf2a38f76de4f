"""What becomes of the copies of a request."""

from __future__ import annotations

from meshctl.ir import Mesh, Route, Sidecar
from meshctl.simulate import splitting
from meshctl.simulate.message import Request
from meshctl.simulate.outcome import Backend


def copies(mesh: Mesh, caller: Sidecar, route: Route, sent: Request) -> tuple[Backend, ...]:
    """Where copies go, each with the share of the requests that are copied; each draws for itself."""
    clusters = {each.name: each for each in caller.clusters}
    return tuple(
        splitting.backend(mesh, caller, clusters[each.cluster], each.share, sent) for each in route.mirrors
    )
