"""Who calls whom: the edges, from where the listeners of the sidecars lead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from meshctl import ir
from meshctl.graph.model import Access, Edge, Security
from meshctl.graph.words import joined
from meshctl.ir.reachability import Ground, Permission, Reachability

Conditions = Callable[[ir.AuthorizationRule], tuple[str, ...]]
"""What a rule asks of a request, in words."""

_Pair = tuple[str, str]


@dataclass(slots=True)
class _Call:
    """What is known of one pair while the routes are walked."""

    need: Fraction = Fraction(0)
    split: tuple[tuple[str, Fraction], ...] = ()
    led: tuple[tuple[str, Fraction], ...] = ()
    """The split by which routes of another callee lead there."""
    own: bool = False
    """Whether routes of its own lead there."""
    drawn: bool = False
    """Whether requests themselves go there, not copies alone."""
    clusters: set[str] = field(default_factory=set)


def edges(
    mesh: ir.Mesh, sidecars: Mapping[str, ir.Sidecar], reach: Reachability, conditions: Conditions
) -> tuple[Edge, ...]:
    """Every pair of which the first calls the second, sorted; health checks are no calls."""
    found: dict[_Pair, _Call] = {}
    for caller, sidecar in sidecars.items():
        for listener in (sidecar.outbound, *sidecar.locals):
            for host in listener.virtual_hosts:
                for route in host.routes:
                    _add_route(found, caller, host.service, route)
        for stream in sidecar.tcp:
            clusters = [each.cluster for each in stream.sni] or [stream.cluster]
            for cluster in clusters:
                _add(found, (caller, _service(cluster)), Fraction(1), cluster)
    for pair in mesh.calls:
        found.setdefault(pair, _Call(drawn=True))
    return tuple(_edge(pair, found[pair], sidecars, reach, conditions) for pair in sorted(found))


def _service(cluster: str) -> str:
    return cluster.partition(".")[0]


def _add_route(found: dict[_Pair, _Call], caller: str, service: str, route: ir.Route) -> None:
    if route.answer is not None:
        return
    total = sum(each.weight for each in route.backends)
    shares: dict[str, list[tuple[str, Fraction]]] = {}
    for each in route.backends:
        shares.setdefault(_service(each.cluster), []).append((each.cluster, Fraction(each.weight, total)))
    for callee, parts in shares.items():
        call = _add(found, (caller, callee), sum((share for _, share in parts), Fraction(0)), parts[0][0])
        call.clusters.update(cluster for cluster, _ in parts)
        call.own = call.own or callee == service
        if len(route.backends) > 1:
            # Routes come from the most particular to the most general, so the last one speaks for most requests.
            split = tuple((cluster.partition(".")[2], share) for cluster, share in parts)
            if callee == service:
                call.split = split
            else:
                call.led = split
    for mirror in route.mirrors:
        if mirror.share:
            copied = found.setdefault((caller, _service(mirror.cluster)), _Call())
            copied.clusters.add(mirror.cluster)


def _add(found: dict[_Pair, _Call], pair: _Pair, need: Fraction, cluster: str) -> _Call:
    call = found.setdefault(pair, _Call())
    call.need, call.drawn = max(call.need, need), True
    call.clusters.add(cluster)
    return call


def _edge(
    pair: _Pair,
    call: _Call,
    sidecars: Mapping[str, ir.Sidecar],
    reach: Reachability,
    conditions: Conditions,
) -> Edge:
    caller, callee = pair
    permissions = reach.permissions.get(callee, {}).get(caller, ())
    access = _access(permissions) if callee in sidecars and call.clusters else Access.PERMITTED
    clusters = [each for each in sidecars[caller].clusters if each.name in call.clusters]
    inbound = sidecars[callee].inbound if callee in sidecars else None
    return Edge(
        caller,
        callee,
        protocol=inbound.protocol.value if inbound is not None else _outside(sidecars[caller], callee),
        security=_security(clusters, sidecars[caller], callee),
        access=access,
        need=Fraction(0) if access in (Access.REFUSED, Access.HEALTH) else call.need,
        split=call.split if call.own else call.led,
        copy=not call.drawn,
        idle=not call.clusters,
        grounds=tuple(dict.fromkeys(_ground(each, conditions) for each in permissions))
        if call.clusters
        else (_IDLE,),
    )


def _outside(caller: ir.Sidecar, callee: str) -> str:
    return "tcp" if any(callee in each.services for each in caller.tcp) else "http"


def _security(clusters: list[ir.Cluster], caller: ir.Sidecar, callee: str) -> Security:
    for each in clusters:
        if each.identity is not None:
            return Security.PLAINTEXT if each.plaintext else Security.MTLS
        if each.origin is not None and each.origin.tls is not None:
            return Security.TLS
    if any(each.service == callee for listener in caller.tcp for each in listener.sni):
        return Security.TLS
    return Security.PLAINTEXT if clusters else Security.MTLS


def _access(permissions: tuple[Permission, ...]) -> Access:
    grounds = {each.ground for each in permissions}
    if not grounds:
        return Access.REFUSED
    if grounds == {Ground.HEALTH}:
        return Access.HEALTH
    return Access.AUDITED if grounds == {Ground.AUDIT} else Access.PERMITTED


_GROUNDS: Mapping[Ground, str] = {
    Ground.RULE: "a rule allows",
    Ground.DECLARED: "the call is declared",
    Ground.OPEN: "everybody in the mesh is let in",
    Ground.HEALTH: "for health checks",
    Ground.AUDIT: "nothing lets it in, but `audit` only notes that",
    Ground.OUTSIDE: "outside of the mesh, where no rule is asked",
    Ground.EGRESS: "`egress: allow` lets it call any host",
}


_IDLE = "its own sidecar answers, or the routes lead elsewhere"


def _ground(each: Permission, conditions: Conditions) -> str:
    text = _GROUNDS[each.ground]
    if each.ground in (Ground.RULE, Ground.HEALTH):
        asked = "; ".join(conditions(each.rule)) if each.rule is not None else ""
        text = f"{text} {asked or 'everything'}"
    by_other = each.via not in ("", each.caller, each.callee)
    return joined((text, f"by route {each.route} of {each.via}" if by_other else ""))


def doors(reach: Reachability, name: str) -> Iterator[str]:
    """Where somebody without a certificate gets in."""
    for each in reach.entrances.get(name, ()):
        yield f"{each.door.value} at {', '.join(each.binds)}"
