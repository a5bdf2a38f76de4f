"""Whom a change lets in, each with a request that shows it: who may do what he could not do before.

Pairs of caller and callee are those of :mod:`meshctl.simulate.reachability`. Within a pair, and for those whom rules let
in by no name, the rules of the callee before and after are compared by requests: one that a new rule allows, and no old
one did, or that an old rule denied. What both meshes have alike is not looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from meshctl.ir import (
    AuthorizationRule,
    InboundListener,
    Mesh,
    MtlsMode,
    PathMatch,
    PathMatchKind,
    Protocol,
    Route,
    Sidecar,
)
from meshctl.ir.authorization import UNAUTHENTICATED
from meshctl.ir.change import ANYBODY, Opened
from meshctl.ir.reachability import Ground, Permission, Reachability
from meshctl.simulate.concerned import Concerned, for_everybody
from meshctl.simulate.examples import Found, Lead, example, search
from meshctl.simulate.leads import straight
from meshctl.simulate.matching import takes_path
from meshctl.simulate.reachability import reachability

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
    names = {each.service for each in (*before.sidecars, *after.sidecars)}
    gone = names - {each.service for each in after.sidecars}
    closed = (pair for pair in old.keys() - new.keys() if pair[0] not in gone)
    return tuple(sorted(opened, key=_order)), tuple(sorted(closed, key=lambda pair: pair[::-1]))


def _relevant(before: Mesh, after: Mesh, changed: Collection[str]) -> frozenset[str]:
    """Those that came, went, or differ in what decides who is let in: not in timeouts, retries and the like."""
    old, new = ({each.service: each for each in reversed(mesh.sidecars)} for mesh in (before, after))
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
    return hosts, own.tcp, heard


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
    """Without what `egress: allow` brings, which is told as such."""
    pairs = {
        (caller, callee): tuple(each for each in some if each.ground is not Ground.EGRESS)
        for callee, callers in found.permissions.items()
        for caller, some in callers.items()
    }
    return {pair: some for pair, some in pairs.items() if some}


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
    was = {each.service: each.inbound for each in reversed(before.sidecars)}
    for own in {each.service: each for each in reversed(after.sidecars)}.values():
        old, new = was.get(own.service), own.inbound
        if own.service not in changed or old is None or new is None:
            continue
        if (old.authorization, old.mtls, old.protocol) == (new.authorization, new.mtls, new.protocol):
            continue
        for permission, more in _Comparison(own.service, old, new, straight(own)).opened():
            pair = (permission.caller, permission.callee)
            if pair not in told:
                yield Opened(permission, more, called=pair in calls)


@dataclass(frozen=True, slots=True)
class _Comparison:
    """One callee before and after; ``lead``: straight to its sidecar."""

    callee: str
    before: InboundListener
    after: InboundListener
    lead: Lead

    def opened(self) -> Iterator[tuple[Permission, bool]]:
        """What is let in newly, one for each rule and caller, and whether the caller was let in before."""
        was, now = self.before.authorization, self.after.authorization
        # Audit lets in whom the sidecar hears; without a certificate that is nobody while it is strict.
        heard = self.before.mtls is MtlsMode.STRICT and self.after.mtls is not MtlsMode.STRICT
        if was.audit and not heard:
            return
        if now.audit:
            stream = self.after.protocol is Protocol.TCP
            path = ("mesh", "authorization", "audit")
            who = UNAUTHENTICATED if was.audit else ANYBODY
            yield Permission(who, self.callee, Ground.AUDIT, stream=stream, path=path), False
            return
        before, after = Concerned(self.before), Concerned(self.after)
        # Callers about whom the same rules are share the search.
        known: dict[object, tuple[AuthorizationRule, Found | None] | None] = {}
        for caller in (UNAUTHENTICATED,) if was.audit else self._callers():
            sides = _Side.of(before, caller), _Side.of(after, caller)
            by_name = caller not in (ANYBODY, UNAUTHENTICATED)
            key = (by_name, *(side.key for side in sides))
            if key not in known:
                known[key] = self._by_one(*sides, known=by_name)
            found = known[key]
            if found is not None:
                yield self._permission(caller, *found), bool(sides[0].rules)

    def _callers(self) -> tuple[str, ...]:
        """Whose rules differ. ``ANYBODY`` stands for all whom none of them names."""
        unknown = (UNAUTHENTICATED,) if self.after.mtls is not MtlsMode.STRICT else ()
        if self.after.mtls is MtlsMode.DISABLED:
            return unknown
        groups = (self.after.authorization.rules, self.before.authorization.deny)
        named = {one.service for group in groups for each in group for one in each.principals}
        return (ANYBODY, *unknown, *sorted(named - {self.callee}))

    def _by_one(
        self, before: _Side, after: _Side, *, known: bool
    ) -> tuple[AuthorizationRule, Found | None] | None:
        if self.after.protocol is Protocol.TCP:
            return self._by_stream(before, after)
        return self._by_request(before, after, known=known)

    def _by_stream(self, before: _Side, after: _Side) -> tuple[AuthorizationRule, Found | None] | None:
        rules = before.rules
        if self.before.protocol is not Protocol.TCP:
            # A stream is more than the requests that conditions left.
            rules = tuple(
                each for each in rules if not (each.methods or each.paths or each.headers or each.jwt)
            )
        was = bool(rules) and not before.deny
        now = bool(after.rules) and not after.deny
        return (after.rules[0], None) if now and not was else None

    def _by_request(
        self, before: _Side, after: _Side, *, known: bool
    ) -> tuple[AuthorizationRule, Found | None] | None:
        """A rule that lets in what was not let in before, best with a request. Of a caller that is ``known`` by
        name that is not told which all others are let in for as well.
        """
        unsure = None
        for rule, found in self._found(before, after, known=known):
            if found.request is not None:
                return rule, found
            unsure = unsure or (rule, found)
        return unsure

    def _found(
        self, before: _Side, after: _Side, *, known: bool
    ) -> Iterator[tuple[AuthorizationRule, Found]]:
        allowed, denied = (tuple(map(for_everybody, each)) for each in (before.rules, after.deny))
        lifted = [each for each in before.deny if for_everybody(each) not in denied]
        for rule in after.rules:
            its = for_everybody(rule)
            if its not in allowed and not (known and rule.anyone):
                found = self._search(its, (*denied, *allowed))
                if found is not None:
                    yield rule, found
            for deny in lifted:
                both = None if known and rule.anyone and deny.anyone else _both(its, deny)
                found = self._search(both, denied) if both is not None else None
                if found is not None:
                    yield rule, found

    def _search(self, rule: AuthorizationRule, deny: tuple[AuthorizationRule, ...]) -> Found | None:
        listener = replace(self.after, authorization=replace(self.after.authorization, deny=deny))
        return search((self.lead,), listener, rule)

    def _permission(self, caller: str, rule: AuthorizationRule, found: Found | None) -> Permission:
        made = Permission(caller, self.callee, Ground.RULE, rule, stream=found is None, at=rule.at)
        scheme = "http" if caller == UNAUTHENTICATED else "https"
        return replace(made, example=example(found, scheme)) if found is not None else made


@dataclass(frozen=True, slots=True)
class _Side:
    """The rules of a callee about one caller; nobody is let in who is not even heard."""

    rules: tuple[AuthorizationRule, ...] = ()
    deny: tuple[AuthorizationRule, ...] = ()

    @classmethod
    def of(cls, callee: Concerned, caller: str) -> _Side:
        if caller == UNAUTHENTICATED and callee.listener.mtls is MtlsMode.STRICT:
            return cls()
        _, deny, rules = callee.about(caller)
        return cls(rules, deny)

    @property
    def key(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Which rules these are; they live as long as their mesh."""
        return tuple(map(id, self.rules)), tuple(map(id, self.deny))


def _both(rule: AuthorizationRule, deny: AuthorizationRule) -> AuthorizationRule | None:
    """What both mean, and where regular expressions are in it perhaps more; None: nothing."""
    methods = rule.methods or deny.methods
    if rule.methods and deny.methods:
        methods = tuple(each for each in rule.methods if each in deny.methods)
    paths = rule.paths or deny.paths
    if rule.paths and deny.paths:
        paths = tuple(met for one in rule.paths for other in deny.paths if (met := _met(one, other)))
    if (rule.methods and not methods) or (rule.paths and not paths):
        return None
    headers = tuple(dict.fromkeys((*rule.headers, *deny.headers)))
    return replace(rule, methods=methods, paths=paths, headers=headers, jwt=rule.jwt or deny.jwt)


def _met(one: PathMatch, other: PathMatch) -> PathMatch | None:
    for narrow, wide in ((one, other), (other, one)):
        if narrow.kind is not PathMatchKind.REGEX and takes_path(wide, narrow.value):
            return narrow
    return one if PathMatchKind.REGEX in (one.kind, other.kind) else None
