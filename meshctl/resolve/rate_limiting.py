"""Rate limits: what the callee, or `defaults`, says of its own sidecars; the most particular layer's as a whole."""

from __future__ import annotations

from meshctl import ir
from meshctl.resolve.layers import Layers, said


def rate_limit(layers: Layers) -> ir.RateLimit | None:
    """How often a service may be called. Without `burst` the bucket holds what one `per` brings."""
    for written, at in said(layers, "rate_limit", "rateLimit"):
        return ir.RateLimit(
            requests=written.requests,
            per=written.per,
            burst=written.requests if written.burst is None else written.burst,
            by_caller=written.key == "caller",
            at=at,
        )
    return None
