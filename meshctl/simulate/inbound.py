"""What a callee's sidecar makes of a request."""

from __future__ import annotations

import re

from msgspec import Struct

from meshctl.ir import InboundListener, MtlsMode, Protocol, RateLimit, WorkloadIdentity, canonical
from meshctl.ir.mesh import IDENTITY_HEADER
from meshctl.simulate import authorization
from meshctl.simulate.message import Request

_METHOD = re.compile("[A-Z_-]+")

_WORDS = {
    canonical.Refusal.BYTE: "a blank or another byte that is not printable ASCII (a blank is %20)",
    canonical.Refusal.FRAGMENT: "a # with what is behind it, which stays in the browser",
    canonical.Refusal.BACKSLASH: "a backslash",
    canonical.Refusal.BROKEN_ESCAPE: "a % without two hexadecimal digits (the sign itself is %25)",
    canonical.Refusal.ESCAPED_SLASH: "an escaped slash",
    canonical.Refusal.ESCAPED_BACKSLASH: "an escaped backslash",
    canonical.Refusal.ESCAPED_NUL: "an escaped NUL",
    canonical.Refusal.NEEDLESS_ESCAPE: "an escape of what needs none",
    canonical.Refusal.EMPTY_SEGMENT: "an empty segment (//)",
    canonical.Refusal.DOT_SEGMENT: "a segment . or ..",
}


class Taken(Struct, frozen=True):
    """``received`` is what the application sees; without it ``status`` is the sidecar's answer."""

    status: int | None = None
    reason: str = ""
    received: Request | None = None
    audited: bool = False
    limit: RateLimit | None = None
    """What it uses up a part of; with nothing left the answer is 429."""


def take(service: str, listener: InboundListener, caller: WorkloadIdentity | None, request: Request) -> Taken:
    """The gate, authorization, and the caller's name told to the application; None has no certificate, and no name."""
    reason = gate(request)
    if reason:
        return Taken(400, reason)
    refused = authorization.refusal(listener, caller, request)
    if refused is not None and not listener.authorization.audit:
        return Taken(refused, f"`{service}` does not let {authorization.named(caller)} in")
    kept = request.next_hop(upgrade=listener.protocol is Protocol.HTTP)
    received = kept.without_claims()
    if caller is not None:
        received = received.with_header(IDENTITY_HEADER, caller.spiffe_id)
    exempt = authorization.exempts(listener, caller, request)
    return Taken(
        received=received, audited=refused is not None, limit=None if exempt else listener.rate_limit
    )


def hears(listener: InboundListener, caller: WorkloadIdentity | None) -> bool:
    """Whether anything is read of a connection, with a certificate or (None) in plaintext."""
    unheard = MtlsMode.STRICT if caller is None else MtlsMode.DISABLED
    return listener.mtls is not unheard


def gate(request: Request) -> str:
    """Why both ends refuse a request that proxies would read in different ways, or an empty text."""
    why = canonical.refusal(request.target)
    if why:
        return f"the path is not canonical: {_WORDS.get(why, why)}"
    if not _METHOD.fullmatch(request.method):
        return "the method is not in capitals"
    if len(request.values("host")) != 1:
        return "there is not exactly one Host line"
    if request.values("content-length") and request.values("transfer-encoding"):
        return "both Content-Length and Transfer-Encoding"
    return ""
