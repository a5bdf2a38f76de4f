"""Whether a callee lets a caller in."""

from __future__ import annotations

from meshctl.ir import AuthorizationRule, InboundListener, WorkloadIdentity
from meshctl.simulate.matching import takes_headers, takes_path
from meshctl.simulate.message import Request


def exempts(inbound: InboundListener, caller: WorkloadIdentity, request: Request | None) -> bool:
    """Whether it is a health check, which rules and limits let through."""
    return any(_holds(rule, caller, request) for rule in inbound.authorization.exempt)


def refuses(inbound: InboundListener, caller: WorkloadIdentity, request: Request | None) -> bool:
    """Exempt, deny, allow, and else refused. A TCP connection has no ``request``."""
    its = inbound.authorization
    if exempts(inbound, caller, request):
        return False
    if any(_holds(rule, caller, request) for rule in its.deny):
        return True
    return not any(_holds(rule, caller, request) for rule in its.rules)


def _holds(rule: AuthorizationRule, caller: WorkloadIdentity, request: Request | None) -> bool:
    if not rule.anyone and caller not in rule.principals:
        return False
    if request is None:
        return True
    return (
        (not rule.methods or request.method in rule.methods)
        and (not rule.paths or any(takes_path(each, request.path) for each in rule.paths))
        and all(takes_headers(each, request.headers) for each in rule.headers)
    )
