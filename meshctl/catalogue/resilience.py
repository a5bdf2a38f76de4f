"""Codes of range 4: resilience."""

from __future__ import annotations

from meshctl.catalogue.code import Code

CODES = (
    Code(
        "MSH4001",
        "hash-misplaced",
        "A hash decides about the endpoint with the policy `ring-hash` only, and that policy cannot do without one.",
        "Write `hashOn` with `policy: ring-hash`, and only there.",
    ),
    Code(
        "MSH4002",
        "source-address-unknown",
        "A sidecar's clients are all on its own host, so the address they come from tells them not apart; only a gateway sees the client's.",
        "Hash on a header or a cookie, or write it at the `calls` of a gateway.",
    ),
)
