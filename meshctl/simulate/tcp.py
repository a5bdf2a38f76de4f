"""What becomes of a TCP connection."""

from __future__ import annotations

from fractions import Fraction

from meshctl.diagnostics import UsageError
from meshctl.ir import Cluster, Mesh, Sidecar
from meshctl.simulate import authorization
from meshctl.simulate.outcome import Backend, Outcome


def connect(mesh: Mesh, caller: Sidecar, callee: str) -> Outcome:
    """A connection to the local port that ``caller`` has for ``callee``. Raises UsageError without one."""
    listener = next((each for each in caller.tcp if each.service == callee), None)
    if listener is None:
        raise UsageError(f"`{caller.service}` has no TCP local port for `{callee}`")
    cluster = next(each for each in caller.clusters if each.name == listener.cluster)
    reason, audited = _refusal(mesh, caller, cluster)
    if reason:
        return Outcome(closed=True, reason=reason, virtual_host=callee)
    backend = Backend(cluster.name, Fraction(1), cluster.identity, None, audited=audited)
    return Outcome(virtual_host=callee, backends=(backend,))


def _refusal(mesh: Mesh, caller: Sidecar, cluster: Cluster) -> tuple[str, bool]:
    """Why the connection is closed, or an empty text; and whether that is only noted."""
    if not cluster.endpoints and cluster.dns is None:
        return f"`{cluster.name}` has no endpoint", False
    if cluster.identity is None:
        return "", False
    inbound = next((each.inbound for each in mesh.sidecars if each.identity == cluster.identity), None)
    if inbound is None:
        return f"`{cluster.name}` has no inbound listener", False
    refused = authorization.refuses(inbound, caller.identity, None)
    if refused and not inbound.authorization.audit:
        return f"`{cluster.workload.service}` does not let `{caller.service}` in", False
    return "", refused
