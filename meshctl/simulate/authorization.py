"""Whether a callee lets a caller in."""

from __future__ import annotations

from meshctl.ir import InboundListener, WorkloadIdentity


def permits(inbound: InboundListener, caller: WorkloadIdentity) -> bool:
    """By the whole identity; without a rule nobody gets in."""
    return any(rule.principal == caller for rule in inbound.authorization.rules)
