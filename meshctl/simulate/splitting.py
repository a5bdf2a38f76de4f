"""How a route's requests are shared out, and what waits behind each share."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from meshctl.ir import Cluster, Mesh, Protocol, Route, Sidecar, WorkloadIdentity
from meshctl.simulate import inbound
from meshctl.simulate.message import Request
from meshctl.simulate.outcome import Backend
from meshctl.simulate.steps import Step, Topic, percent


def backends(mesh: Mesh, caller: Sidecar, route: Route, sent: Request) -> tuple[Backend, ...]:
    """The clusters that may be drawn, in the route's order, with the answer of each."""
    total = sum(each.weight for each in route.backends)
    clusters = {each.name: each for each in caller.clusters}
    return tuple(
        backend(mesh, caller, clusters[each.cluster], Fraction(each.weight, total), sent)
        for each in route.backends
    )


def backend(mesh: Mesh, caller: Sidecar, cluster: Cluster, share: Fraction, sent: Request) -> Backend:
    """One cluster and its answer; protocols are changed only on a hop of HTTP/1.1."""
    if cluster.protocol is not Protocol.HTTP:
        sent = sent.next_hop()
    callee = cluster.identity
    if not cluster.endpoints and cluster.dns is None:
        return Backend(cluster.name, share, callee, 503, f"`{cluster.name}` has no endpoint")
    if callee is None:
        return Backend(cluster.name, share, None, None, received=sent)
    listener = next((each.inbound for each in mesh.sidecars if each.identity == callee), None)
    if listener is None:
        return Backend(cluster.name, share, callee, 503, f"`{callee.service}` has no inbound listener")
    taken = inbound.take(callee.service, listener, known(caller, cluster), sent)
    return Backend(
        cluster.name,
        share,
        callee,
        taken.status,
        taken.reason,
        taken.received,
        audited=taken.audited,
        limit=taken.limit,
    )


def known(caller: Sidecar, cluster: Cluster) -> WorkloadIdentity | None:
    """Whom the callee's sidecar takes the caller for: nobody in plaintext."""
    return None if cluster.plaintext else caller.identity


def told(route: Route, path: tuple[str, ...]) -> Iterator[Step]:
    """The draw; ``path`` is the route's part of the spec."""
    total = sum(each.weight for each in route.backends)
    shares = [f"{percent(Fraction(each.weight, total))} `{each.cluster}`" for each in route.backends]
    if not shares:
        yield Step(Topic.BACKENDS, "none: 503", route.at)
    else:
        text = (
            f"one draw for all tries: {', '.join(shares)}" if len(shares) > 1 else f"all to {shares[0][5:]}"
        )
        yield Step(Topic.BACKENDS, text, route.at, (*path, "backends") if path else ())
