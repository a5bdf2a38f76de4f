"""Who reaches whom: every call that a route can make and a rule of the callee lets in, with a request that shows it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from msgspec import Struct, field
from msgspec.structs import replace

from meshctl.ir import AuthorizationMode, AuthorizationRule, Feature, Mesh, MtlsMode, Protocol
from meshctl.ir.authorization import UNAUTHENTICATED
from meshctl.ir.change import ANYBODY
from meshctl.ir.reachability import (
    Door,
    Entrance,
    Ground,
    Permission,
    Reachability,
    Unpermitted,
)
from meshctl.simulate.concerned import Concerned
from meshctl.simulate.examples import Found, Lead, search
from meshctl.simulate.examples import example as example_of
from meshctl.simulate.leads import OUTSIDE, Leads, straight
from meshctl.simulate.steps import place_of

_Path = tuple[str, ...]


def reachability(
    mesh: Mesh, among: Collection[str] | None = None, within: Collection[str] | None = None
) -> Reachability:
    """All that the mesh lets in. Time grows with calls, and with rules times routes of each callee, each bounded.

    With ``among`` only calls from and to these services and gateways, with ``within`` only from one of these to another; and
    nothing but calls.
    """
    known, both = (frozenset(each) if each is not None else None for each in (among, within))
    search = _Search(Leads.of(mesh), mesh, among=known, within=both)
    return search.calls() if known is not None or both is not None else search.found()


class _Search(Struct):
    leads: Leads
    mesh: Mesh
    among: frozenset[str] | None = None
    within: frozenset[str] | None = None
    callees: dict[str, Concerned] = field(default_factory=dict)
    permissions: dict[str, dict[str, tuple[Permission, ...]]] = field(default_factory=dict)
    unpermitted: dict[str, list[Unpermitted]] = field(default_factory=dict)

    def calls(self) -> Reachability:
        for name, each in self.leads.by_service.items():
            if each.inbound is not None:
                self.callees[name] = Concerned(each.inbound)
        callers = self.leads.by_service if self.within is None else self.within & self.leads.by_service.keys()
        for caller in sorted(callers):
            for callee, leads in self.leads.routes(caller).items():
                if not self._counts(caller, callee):
                    continue
                call = self._call(caller, callee, leads[0])
                self._add(caller, callee, tuple(self._by_routes(caller, callee, leads)), call)
            for callee in self.leads.streams(caller):
                if not self._counts(caller, callee):
                    continue
                call = (*self.leads.section(caller), "calls", callee)
                self._add(caller, callee, tuple(self._by_stream(caller, callee, call)), call)
        unpermitted = {name: tuple(each) for name, each in self.unpermitted.items()}
        return Reachability(self.permissions, unpermitted)

    def _counts(self, caller: str, callee: str) -> bool:
        if self.within is not None and not (caller in self.within and callee in self.within):
            return False
        return self.among is None or caller in self.among or callee in self.among

    def found(self) -> Reachability:
        by_calls = self.calls()
        self._add_egress()
        return replace(
            by_calls,
            uncalled={name: some for name in self.callees if (some := tuple(self._uncalled(name)))},
            entrances={
                name: found for name in self.leads.by_service if (found := tuple(self._entrances(name)))
            },
        )

    def _add(self, caller: str, callee: str, found: tuple[Permission, ...], call: _Path) -> None:
        if found:
            own = self.permissions.setdefault(callee, {})
            own[caller] = (*own.get(caller, ()), *found)
        else:
            self.unpermitted.setdefault(callee, []).append(Unpermitted(caller, callee, path=call))

    def _by_routes(self, caller: str, callee: str, leads: tuple[Lead, ...]) -> Iterator[Permission]:
        if callee not in self.callees:
            way = search(leads, OUTSIDE, None)
            if way is not None:
                yield self._by(caller, callee, Ground.OUTSIDE, way)
            return
        concerned = self.callees[callee]
        let_in = concerned.let_in(caller, leads)
        for each in let_in:
            permission = self._by(caller, callee, Ground.RULE, each.found)
            yield self._grounded(permission, each.rule, exempt=each.exempt)
        if not let_in and concerned.listener.authorization.audit:
            way = search(leads, concerned.listener, None)
            if way is not None:
                yield self._audited(self._by(caller, callee, Ground.AUDIT, way))

    def _by_stream(self, caller: str, callee: str, call: _Path) -> Iterator[Permission]:
        made = Permission(caller, callee, Ground.OUTSIDE, stream=True, path=call)
        if callee not in self.callees:
            yield made
            return
        concerned = self.callees[callee]
        rule = concerned.lets_streams_in(caller)
        if rule is not None:
            yield self._grounded(made, rule, exempt=False)
        elif concerned.listener.authorization.audit:
            yield self._audited(made)

    def _by(self, caller: str, callee: str, ground: Ground, way: Found) -> Permission:
        """What leads there, without what permits it."""
        lead, example = way.lead, None
        if way.request is not None:
            scheme = "https" if self.leads.by_service[caller].outbound.tls is not None else "http"
            example = example_of(way, scheme)
        return Permission(
            caller,
            callee,
            ground,
            via=lead.host.service,
            route=lead.route.name,
            copy=lead.copy,
            example=example,
            path=self._call(caller, callee, lead),
        )

    def _grounded(self, made: Permission, rule: AuthorizationRule, *, exempt: bool) -> Permission:
        its = self.callees[made.callee].listener.authorization
        if exempt:
            health = ("services", made.callee, "healthPath")
            return replace(made, ground=Ground.HEALTH, rule=rule, path=health)
        if rule.at is not None or its.mode is AuthorizationMode.EXPLICIT:
            return replace(made, ground=Ground.RULE, rule=rule, at=rule.at, path=())
        if its.mode is AuthorizationMode.OPEN:
            return replace(made, ground=Ground.OPEN, rule=rule, path=("mesh", "authorization"))
        return replace(made, ground=Ground.DECLARED, rule=rule)

    def _audited(self, made: Permission) -> Permission:
        return replace(made, ground=Ground.AUDIT, path=("mesh", "authorization", "audit"))

    def _call(self, caller: str, callee: str, lead: Lead) -> _Path:
        """The part of the spec that declares the call, or that leads on to a service that is not called itself."""
        via = lead.host.service
        if via in (caller, callee):
            return (*self.leads.section(caller), "calls", callee)
        return (*self.leads.section(via), "routes", lead.route.name, "mirror" if lead.copy else "backends")

    def _add_egress(self) -> None:
        """Any host of the world, and so every external, for services that are let out."""
        outside = sorted({name for name in self.permissions if name not in self.leads.by_service})
        for caller, sidecar in self.leads.by_service.items():
            for callee in outside if sidecar.outbound.egress is not None else ():
                if caller not in self.permissions[callee]:
                    made = Permission(caller, callee, Ground.EGRESS, stream=True, path=("mesh", "egress"))
                    self.permissions[callee][caller] = (made,)

    def _uncalled(self, callee: str) -> Iterator[Permission]:
        """What rules let those do whom they name, and no call of theirs leads to; and everybody, where no name is asked for."""
        concerned = self.callees[callee]
        its = concerned.listener.authorization
        named = {each.service for rule in (*its.exempt, *its.rules) for each in rule.principals}
        known = concerned.listener.mtls is not MtlsMode.DISABLED
        anybody = (ANYBODY,) if known and any(each.anyone for each in its.rules) else ()
        calls, lead = self.permissions.get(callee, {}), straight(self.leads.by_service[callee])
        for caller in (*sorted(named - {callee}), *anybody):
            led_to = frozenset(id(each.rule) for each in calls.get(caller, ()))
            yield from self._straight(caller, callee, lead, led_to)

    def _straight(
        self, caller: str, callee: str, lead: Lead, led_to: frozenset[int] = frozenset()
    ) -> Iterator[Permission]:
        """What somebody may do who asks the callee's sidecar himself, but for the rules that his calls lead to."""
        concerned = self.callees[callee]
        its = concerned.listener.authorization
        made = Permission(caller, callee, Ground.RULE, stream=concerned.listener.protocol is Protocol.TCP)
        if made.stream:
            rule = concerned.lets_streams_in(caller)
            if rule is not None and id(rule) not in led_to:
                yield self._grounded(made, rule, exempt=False)
            elif rule is None and its.audit and id(None) not in led_to:
                yield self._audited(made)
            return
        let_in = concerned.let_in(caller, (lead,))
        for each in let_in:
            if id(each.rule) in led_to:
                continue
            scheme = "http" if caller == UNAUTHENTICATED else "https"
            example = example_of(each.found, scheme) if each.found.request is not None else None
            yield self._grounded(replace(made, example=example), each.rule, exempt=each.exempt)
        if not let_in and its.audit and id(None) not in led_to:
            way = search((lead,), concerned.listener, None)
            yield self._audited(replace(made, example=example_of(way, "http") if way is not None else None))

    def _entrances(self, name: str) -> Iterator[Entrance]:
        """The listeners that take anybody."""
        own = self.leads.by_service[name]
        alike = [each for each in self.mesh.sidecars if each.service == name]
        section = self.leads.section(name)
        if own.is_gateway:
            binds = (bind for each in alike for bind in each.outbound.binds)
            yield Entrance(Door.GATEWAY, tuple(dict.fromkeys(map(str, binds))), path=section)
        if own.inbound is not None and own.inbound.mtls is not MtlsMode.STRICT:
            permissions = tuple(self._straight(UNAUTHENTICATED, name, straight(own)))
            if permissions:
                listeners = (each.inbound for each in alike if each.inbound is not None)
                found = (bind for each in listeners for bind in each.binds)
                doors = tuple(dict.fromkeys(map(str, found)))
                at = place_of(own.inbound.asks, Feature.MTLS_PERMISSIVE, Feature.MTLS_DISABLED)
                yield Entrance(Door.PLAINTEXT, doors, permissions, at=at)
        if own.health is not None and own.health.path:
            health = (bind for each in alike if each.health is not None for bind in each.health.binds)
            yield Entrance(Door.HEALTH, tuple(dict.fromkeys(map(str, health))), at=own.health.at)
