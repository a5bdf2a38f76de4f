"""Rate limits: what the callee, or `defaults`, says of its own sidecars; the most particular layer's as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding
from meshctl.resolve.layers import Layers, said
from meshctl.spec.rate_limiting import RateLimitSpec

SLOWEST = timedelta(hours=1)
"""How long a token may take to come."""


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


def check(layers: Layers) -> Iterator[Finding]:
    """Limits that are quotas."""
    for layer in layers:
        written: RateLimitSpec | None = layer.says.get("rate_limit")
        if written is not None and written.per / written.requests > SLOWEST:
            interval = ir.duration_text(written.per / written.requests)
            message = (
                f"{written.requests} in {ir.duration_text(written.per)} lets one request in every {interval}"
            )
            yield finding("rate-limit-too-slow", layer.source.at("rateLimit", "per"), message)
