"""How a route's requests are shared out, and what waits behind each share."""

from __future__ import annotations

from fractions import Fraction

from meshctl.ir import Cluster, Mesh, Route, Sidecar
from meshctl.simulate.authorization import permits
from meshctl.simulate.outcome import Backend


def backends(mesh: Mesh, caller: Sidecar, route: Route) -> tuple[Backend, ...]:
    """The clusters that may be drawn, in the route's order, with the answer of each."""
    total = sum(each.weight for each in route.backends)
    clusters = {each.name: each for each in caller.clusters}
    return tuple(
        _backend(mesh, caller, clusters[each.cluster], Fraction(each.weight, total))
        for each in route.backends
    )


def _backend(mesh: Mesh, caller: Sidecar, cluster: Cluster, share: Fraction) -> Backend:
    callee = cluster.workload
    if not cluster.endpoints:
        return Backend(cluster.name, share, callee, 503, f"`{cluster.name}` has no endpoint")
    inbound = next((each.inbound for each in mesh.sidecars if each.identity == callee), None)
    if inbound is None:
        return Backend(cluster.name, share, callee, 503, f"`{callee.service}` has no inbound listener")
    if not permits(inbound, caller.identity):
        reason = f"`{callee.service}` does not let `{caller.service}` in"
        return Backend(cluster.name, share, callee, 403, reason)
    return Backend(cluster.name, share, callee, None)
