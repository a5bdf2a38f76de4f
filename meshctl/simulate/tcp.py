"""What becomes of a TCP connection."""

from __future__ import annotations

from fractions import Fraction

from meshctl.diagnostics import UsageError
from meshctl.ir import Cluster, InboundListener, Mesh, Sidecar, SniRoute, TcpListener, WorkloadIdentity
from meshctl.simulate import authorization, splitting
from meshctl.simulate.outcome import Backend, Outcome


def connect(mesh: Mesh, caller: Sidecar, callee: str, server_name: str = "") -> Outcome:
    """A connection to the local port that ``caller`` has for ``callee``. Raises UsageError without one."""
    listener = next((each for each in caller.tcp if _leads_to(each, callee)), None)
    if listener is None:
        raise UsageError(f"`{caller.service}` has no TCP local port for `{callee}`")
    name = listener.cluster
    if listener.sni:
        route = _passed(listener, server_name.lower())
        if route is None:
            return Outcome(closed=True, reason=f"nothing here is named `{server_name}`")
        name, callee = route.cluster, route.service
    cluster = next(each for each in caller.clusters if each.name == name)
    reason, audited = _refusal(mesh, caller, cluster)
    if reason:
        return Outcome(closed=True, reason=reason, virtual_host=callee)
    backend = Backend(cluster.name, Fraction(1), cluster.identity, None, audited=audited)
    return Outcome(virtual_host=callee, backends=(backend,))


def receive(own: Sidecar, inbound: InboundListener, caller: WorkloadIdentity | None) -> Outcome:
    """What the callee's sidecar makes of a connection straight from a caller; None has no certificate."""
    refused = authorization.refuses(inbound, caller, None)
    if refused and not inbound.authorization.audit:
        return Outcome(closed=True, reason=f"`{own.service}` does not let {authorization.named(caller)} in")
    backend = Backend(own.service, Fraction(1), own.identity, None, audited=refused)
    return Outcome(virtual_host=own.service, backends=(backend,))


def _leads_to(listener: TcpListener, callee: str) -> bool:
    return callee in (listener.service, *(each.service for each in listener.sni))


def _passed(listener: TcpListener, name: str) -> SniRoute | None:
    """The route of a server name: exact, then the longest wildcard."""
    routes = {pattern: each for each in listener.sni for pattern in each.hostnames}
    labels = name.split(".")
    patterns = (name, *(f"*.{'.'.join(labels[first:])}" for first in range(1, len(labels))))
    return next((routes[each] for each in patterns if each in routes), None)


def _refusal(mesh: Mesh, caller: Sidecar, cluster: Cluster) -> tuple[str, bool]:
    """Why the connection is closed, or an empty text; and whether that is only noted."""
    if not cluster.endpoints and cluster.dns is None:
        return f"`{cluster.name}` has no endpoint", False
    if cluster.identity is None:
        return "", False
    inbound = next((each.inbound for each in mesh.sidecars if each.identity == cluster.identity), None)
    if inbound is None:
        return f"`{cluster.name}` has no inbound listener", False
    known = splitting.known(caller, cluster)
    refused = authorization.refuses(inbound, known, None)
    if refused and not inbound.authorization.audit:
        return f"`{cluster.workload.service}` does not let {authorization.named(known)} in", False
    return "", refused
