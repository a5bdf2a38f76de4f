"""What a callee's sidecar makes of a request."""

from __future__ import annotations

import re
from dataclasses import dataclass

from meshctl.ir import InboundListener, Protocol, RateLimit, WorkloadIdentity, canonical
from meshctl.ir.mesh import IDENTITY_HEADER
from meshctl.simulate import authorization
from meshctl.simulate.message import Request

_METHOD = re.compile("[A-Z_-]+")


@dataclass(frozen=True, slots=True)
class Taken:
    """``received`` is what the application sees; without it ``status`` is the sidecar's answer."""

    status: int | None = None
    reason: str = ""
    received: Request | None = None
    audited: bool = False
    limit: RateLimit | None = None
    """What it uses up a part of; with nothing left the answer is 429."""


def take(service: str, listener: InboundListener, caller: WorkloadIdentity, request: Request) -> Taken:
    """The gate, authorization, and the caller's name told to the application."""
    reason = gate(request)
    if reason:
        return Taken(400, reason)
    refused = authorization.refusal(listener, caller, request)
    if refused is not None and not listener.authorization.audit:
        return Taken(refused, f"`{service}` does not let `{caller.service}` in")
    kept = request.next_hop(upgrade=listener.protocol is Protocol.HTTP)
    received = kept.without_claims().with_header(IDENTITY_HEADER, caller.spiffe_id)
    exempt = authorization.exempts(listener, caller, request)
    return Taken(
        received=received, audited=refused is not None, limit=None if exempt else listener.rate_limit
    )


def gate(request: Request) -> str:
    """Why both ends refuse a request that proxies would read in different ways, or an empty text."""
    why = canonical.refusal(request.target)
    if why:
        return f"the path is not canonical: {why}"
    if not _METHOD.fullmatch(request.method):
        return "the method is not in capitals"
    if len(request.values("host")) != 1:
        return "there is not exactly one Host line"
    if request.values("content-length") and request.values("transfer-encoding"):
        return "both Content-Length and Transfer-Encoding"
    return ""
