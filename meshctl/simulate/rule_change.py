"""What one callee lets in after a change that it did not before, shown by requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from meshctl.ir import (
    AuthorizationRule,
    InboundListener,
    MtlsMode,
    PathMatch,
    PathMatchKind,
    Protocol,
)
from meshctl.ir.authorization import UNAUTHENTICATED
from meshctl.ir.change import ANYBODY
from meshctl.ir.reachability import Ground, Permission
from meshctl.simulate.concerned import Concerned, for_everybody
from meshctl.simulate.examples import Found, Lead, example, search
from meshctl.simulate.matching import takes_path


class Comparison(Struct, frozen=True):
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
        yield from self._about((UNAUTHENTICATED,) if was.audit else self._callers(), apart=True)

    def more(self, callers: Iterable[str]) -> Iterator[Permission]:
        """What each of ``callers`` is let in for newly, also where all others are."""
        return (permission for permission, _ in self._about(callers, apart=False))

    def _about(self, callers: Iterable[str], *, apart: bool) -> Iterator[tuple[Permission, bool]]:
        """With ``apart``: of a caller by name without that which all others are let in for as well."""
        before, after = Concerned(self.before), Concerned(self.after)
        # Callers about whom the same rules are share the search.
        known: dict[object, tuple[AuthorizationRule, Found | None] | None] = {}
        for caller in callers:
            sides = _Side.of(before, caller), _Side.of(after, caller)
            by_name = apart and caller not in (ANYBODY, UNAUTHENTICATED)
            key = (by_name, *(side.key for side in sides))
            if key not in known:
                known[key] = self._by_one(*sides, known=by_name)
            found = known[key]
            if found is not None:
                yield self._permission(caller, *found), sides[0].lets_in

    def _callers(self) -> tuple[str, ...]:
        """Whose rules differ. ``ANYBODY`` stands for all whom none of them names."""
        if self.after.mtls is MtlsMode.DISABLED:
            return (UNAUTHENTICATED,)
        now = self.after.authorization
        groups = (now.exempt, now.rules, self.before.authorization.deny)
        named = {one.service for group in groups for each in group for one in each.principals}
        return (ANYBODY, UNAUTHENTICATED, *(named - {self.callee}))

    def _by_one(
        self, before: _Side, after: _Side, *, known: bool
    ) -> tuple[AuthorizationRule, Found | None] | None:
        if self.after.protocol is Protocol.TCP:
            return self._by_stream(before, after)
        return self._by_request(before, after, known=known)

    def _by_stream(self, before: _Side, after: _Side) -> tuple[AuthorizationRule, Found | None] | None:
        # A stream is more than the requests that conditions leave; on streams there are none.
        was = not before.deny and any(map(_unconditional, before.rules))
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
        held = [each for each in before.rules if not self._widened(each)]
        allowed, exempt, denied = (
            tuple(map(for_everybody, each)) for each in (held, before.exempt, after.deny)
        )
        lifted = [each for each in before.deny if for_everybody(each) not in denied]
        # What is for health checks is let in whatever is denied.
        newly = [
            *((each, allowed, denied, lifted) for each in after.rules),
            *((each, exempt, (), before.deny) for each in after.exempt),
        ]
        for rule, same, kept_out, free in newly:
            its = for_everybody(rule)
            if its not in same and not (known and rule.anyone):
                found = self._search(its, (*kept_out, *allowed, *exempt))
                if found is not None:
                    yield rule, found
            for deny in free:
                both = None if known and rule.anyone and deny.anyone else _both(its, deny)
                found = self._search(both, (*kept_out, *exempt)) if both is not None else None
                if found is not None:
                    yield rule, found

    def _widened(self, rule: AuthorizationRule) -> bool:
        """Whether tokens that were not good enough for a rule are now; of an issuer's keys that is not asked."""
        if rule.jwt is None:
            return False
        old, new = (
            next((one for one in side.authorization.issuers if one.name == rule.jwt.issuer), None)
            for side in (self.before, self.after)
        )
        if old is None or new is None:
            return False
        fewer = not old.audiences or (bool(new.audiences) and {*new.audiences} <= {*old.audiences})
        return old.issuer != new.issuer or not fewer

    def _search(self, rule: AuthorizationRule, deny: tuple[AuthorizationRule, ...]) -> Found | None:
        its = self.after.authorization
        names = {each.name for each in its.issuers}
        gone = (each for each in self.before.authorization.issuers if each.name not in names)
        listener = replace(self.after, authorization=replace(its, deny=deny, issuers=(*its.issuers, *gone)))
        return search((self.lead,), listener, rule)

    def _permission(self, caller: str, rule: AuthorizationRule, found: Found | None) -> Permission:
        made = Permission(caller, self.callee, Ground.RULE, rule, stream=found is None, at=rule.at)
        if any(rule is each for each in self.after.authorization.exempt):
            made = replace(made, ground=Ground.HEALTH, path=("services", self.callee, "healthPath"))
        scheme = "http" if caller == UNAUTHENTICATED else "https"
        return replace(made, example=example(found, scheme)) if found is not None else made


class _Side(Struct, frozen=True):
    """The rules of a callee about one caller; nobody is let in who is not even heard."""

    rules: tuple[AuthorizationRule, ...] = ()
    deny: tuple[AuthorizationRule, ...] = ()
    exempt: tuple[AuthorizationRule, ...] = ()

    @classmethod
    def of(cls, callee: Concerned, caller: str) -> _Side:
        if caller == UNAUTHENTICATED and callee.listener.mtls is MtlsMode.STRICT:
            return cls()
        exempt, deny, rules = callee.about(caller)
        return cls(rules, deny, exempt)

    @property
    def lets_in(self) -> bool:
        """Whether the caller gets anywhere: some rule is about it, and none keeps it out wholly."""
        return bool(self.rules) and not any(map(_unconditional, self.deny))

    @property
    def key(self) -> tuple[tuple[int, ...], ...]:
        """Which rules these are; they live as long as their mesh."""
        return tuple(map(id, self.rules)), tuple(map(id, self.deny)), tuple(map(id, self.exempt))


def _unconditional(rule: AuthorizationRule) -> bool:
    return not (rule.methods or rule.paths or rule.headers or rule.jwt)


def _both(rule: AuthorizationRule, deny: AuthorizationRule) -> AuthorizationRule | None:
    """What both mean, and where regular expressions are in it perhaps more; None: nothing."""
    methods = rule.methods or deny.methods
    if rule.methods and deny.methods:
        methods = tuple(each for each in rule.methods if each in deny.methods)
    paths = rule.paths or deny.paths
    if rule.paths and deny.paths:
        paths = tuple(met for one in rule.paths for other in deny.paths for met in _met(one, other))
    if (rule.methods and not methods) or (rule.paths and not paths):
        return None
    headers = tuple(dict.fromkeys((*rule.headers, *deny.headers)))
    return replace(rule, methods=methods, paths=paths, headers=headers, jwt=rule.jwt or deny.jwt)


def _met(one: PathMatch, other: PathMatch) -> Iterator[PathMatch]:
    for narrow, wide in ((one, other), (other, one)):
        if narrow.kind is not PathMatchKind.REGEX and takes_path(wide, narrow.value):
            # A pattern that takes the path of a prefix says nothing of the paths below.
            yield replace(narrow, kind=PathMatchKind.EXACT) if wide.kind is PathMatchKind.REGEX else narrow
    if PathMatchKind.EXACT not in (one.kind, other.kind):
        yield from (each for each in (one, other) if each.kind is PathMatchKind.REGEX)
