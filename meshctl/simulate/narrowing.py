"""What callees refuse newly of those who still reach them: :mod:`meshctl.simulate.rule_change` asked the other way round."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from meshctl.ir import AuthorizationRule, InboundListener, Mesh
from meshctl.ir.change import Narrowed
from meshctl.simulate.leads import straight
from meshctl.simulate.rule_change import Comparison

Pair = tuple[str, str]


def narrowing(
    before: Mesh, after: Mesh, closed: Collection[Pair], changed: Collection[str]
) -> tuple[Narrowed, ...]:
    """Who may do less than before, of callers of both meshes, each with a request that shows it; sorted by callee and caller.

    ``closed`` are pairs of which nothing is left, and which are told as such. Only callees in ``changed`` are looked at.
    """
    staying = {*after.calls} - {*closed}
    callers: dict[str, list[str]] = {}
    for caller, callee in before.calls:
        if (caller, callee) in staying:
            callers.setdefault(callee, []).append(caller)
    now = {each.service: each.inbound for each in after.sidecars}
    found: list[Narrowed] = []
    for own in {each.service: each for each in before.sidecars}.values():
        old, new = own.inbound, now.get(own.service)
        if own.service in changed and old is not None and new is not None and not new.authorization.audit:
            asked = Comparison(own.service, new, _heard(old), straight(own))
            found += map(Narrowed, asked.more(callers.get(own.service, ())))
    return tuple(sorted(found, key=lambda each: each.pair[::-1]))


def _heard(listener: InboundListener) -> InboundListener:
    """With rules that say what it did: all is let in under `audit`. What is let in for health checks alone is no caller's."""
    its = listener.authorization
    if its.audit:
        everybody = AuthorizationRule(anyone=True, unauthenticated=True)
        its = replace(its, rules=(everybody,), deny=())
    return replace(listener, authorization=replace(its, exempt=()))
