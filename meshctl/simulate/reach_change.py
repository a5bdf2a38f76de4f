"""Whom a change lets in, each with a request that shows it: who may do what he could not do before.

Pairs of caller and callee are those of :mod:`meshctl.simulate.reachability`. Within a pair, and for those whom rules let
in by no name, the rules of the callee before and after are compared by requests: one that a new rule allows, and no old
one did, or that an old rule denied. What both meshes have alike is not looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from msgspec.structs import replace

from meshctl.ir import AuthorizationMode, AuthorizationRule, InboundListener, Mesh, MtlsMode, Route, Sidecar
from meshctl.ir.authorization import UNAUTHENTICATED
from meshctl.ir.change import ANYBODY, Opened
from meshctl.ir.reachability import Example, Ground, Permission, Reachability
from meshctl.simulate.leads import straight
from meshctl.simulate.reachability import reachability
from meshctl.simulate.rule_change import Comparison

Pair = tuple[str, str]
_Permissions = dict[Pair, tuple[Permission, ...]]


def reach_change(
    before: Mesh, after: Mesh, changed: Collection[str]
) -> tuple[tuple[Opened, ...], tuple[Pair, ...]]:
    """What is opened from one mesh to the other, and the pairs that are closed; both sorted by callee and caller.

    Only calls from and to the services and gateways in ``changed`` are looked at: nothing else differs.
    """
    changed = _relevant(before, after, changed)
    old, new = (_by_pair(reachability(mesh, among=changed)) for mesh in (before, after))
    opened = [Opened(_best(new[pair])) for pair in new.keys() - old.keys()]
    opened += _wider(before, after, changed, told=new.keys() - old.keys(), calls=new.keys())
    opened += _let_out(before, after)
    opened += _doors(before, after, changed)
    names = {each.service for each in (*before.sidecars, *after.sidecars)}
    gone = names - {each.service for each in after.sidecars}
    closed = (pair for pair in old.keys() - new.keys() if pair[0] not in gone)
    return tuple(sorted(opened, key=_order)), tuple(sorted(closed, key=lambda pair: pair[::-1]))


def _relevant(before: Mesh, after: Mesh, changed: Collection[str]) -> frozenset[str]:
    """Those that came, went, or differ in what decides who is let in: not in timeouts, retries and the like."""
    old, new = ({each.service: each for each in mesh.sidecars} for mesh in (before, after))
    sent: dict[int, object] = {}
    return frozenset(
        name
        for name in changed
        if name not in old or name not in new or _decides(old[name], sent) != _decides(new[name], sent)
    )


def _decides(own: Sidecar, sent: dict[int, object]) -> tuple[object, ...]:
    """The parts of a sidecar that reach depends on; ``sent`` keeps those of hosts, which callers share."""
    listeners = (own.outbound, *own.locals)
    for host in (each for listener in listeners for each in listener.virtual_hosts):
        if id(host) not in sent:
            sent[id(host)] = (host.service, host.hostnames, tuple(map(_leads, host.routes)))
    hosts = tuple(tuple(sent[id(each)] for each in listener.virtual_hosts) for listener in listeners)
    inbound = own.inbound
    heard = (inbound.authorization, inbound.mtls, inbound.protocol) if inbound is not None else ()
    return hosts, own.tcp, heard, own.health


def _leads(route: Route) -> tuple[object, ...]:
    return (
        route.name,
        route.match,
        route.answer,
        route.rewrite,
        route.request_headers,
        tuple(each.cluster for each in route.backends),
        tuple((each.cluster, bool(each.share)) for each in route.mirrors),
    )


def _order(each: Opened) -> tuple[str, str, str]:
    return each.callee, each.caller, each.words


def _by_pair(found: Reachability) -> _Permissions:
    return {
        (caller, callee): some
        for callee, callers in found.permissions.items()
        for caller, some in callers.items()
    }


def _best(permissions: tuple[Permission, ...]) -> Permission:
    return min(permissions, key=lambda each: (not each.proved, each.copy, each.ground is Ground.HEALTH))


def _let_out(before: Mesh, after: Mesh) -> Iterator[Opened]:
    """`egress: allow` is for all services of a mesh."""
    was, now = (any(each.outbound.egress is not None for each in mesh.sidecars) for mesh in (before, after))
    if now and not was:
        yield Opened(Permission(ANYBODY, ANYBODY, Ground.EGRESS, path=("mesh", "egress")))


def _wider(
    before: Mesh, after: Mesh, changed: Collection[str], *, told: Collection[Pair], calls: Collection[Pair]
) -> Iterator[Opened]:
    """What callees that are there before and after let in beyond what they did; pairs that are ``told`` aside."""
    was = {each.service: each.inbound for each in before.sidecars}
    for own in {each.service: each for each in after.sidecars}.values():
        new = own.inbound
        if own.service not in changed or new is None:
            continue
        old = was.get(own.service) or _nobody(new)
        if (old.authorization, old.mtls, old.protocol) == (new.authorization, new.mtls, new.protocol):
            continue
        for permission, more in Comparison(own.service, old, new, straight(own)).opened():
            pair = (permission.caller, permission.callee)
            if pair not in told:
                yield Opened(permission, more, called=pair in calls)


def _nobody(listener: InboundListener) -> InboundListener:
    """What a service was before it came: open where all of the mesh is, for nobody decides that with a service."""
    its = listener.authorization
    rules = (AuthorizationRule(anyone=True),) if its.mode is AuthorizationMode.OPEN else ()
    closed = replace(its, rules=rules, deny=(), exempt=(), audit=False)
    return replace(listener, authorization=closed, mtls=MtlsMode.STRICT)


def _doors(before: Mesh, after: Mesh, changed: Collection[str]) -> Iterator[Opened]:
    """Health listeners that hand on to the application; whoever reaches their addresses is let in."""
    was = {each.service: each.health for each in before.sidecars}
    for own in {each.service: each for each in after.sidecars}.values():
        old, new = was.get(own.service), own.health
        if own.service in changed and new is not None and new.path and (old is None or old.path != new.path):
            shown = Example("GET", f"http://{new.binds[0]}{new.path}")
            made = Permission(UNAUTHENTICATED, own.service, Ground.HEALTH, example=shown, at=new.at)
            yield Opened(made, called=False)
