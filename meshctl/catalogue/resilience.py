"""Codes of range 4: resilience."""

from __future__ import annotations

from meshctl.catalogue.code import Code
from meshctl.diagnostics import Severity

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
    Code(
        "MSH4003",
        "failover-unnoticed",
        "Requests go to the next zones only when all endpoints of the earlier ones are known to be out, and nothing here ever finds that out.",
        "Write `outlierDetection` or `healthCheck` beside it.",
        Severity.WARNING,
    ),
    Code(
        "MSH4004",
        "zone-unknown",
        "Who does not know where it is cannot prefer what is near: its requests go to all zones that `failover` leaves alike.",
        "Write `zone` at the caller, or at each of its endpoints.",
        Severity.WARNING,
    ),
    Code(
        "MSH4005",
        "health-check-impossible",
        "A check that this callee cannot answer, or that its sidecar would answer for it, says nothing of the application.",
        "Ask for a path with `http`, a gRPC service with `grpc`, and leave the rest to `outlierDetection`.",
    ),
    Code(
        "MSH4006",
        "health-check-not-exempt",
        "The callee's rules and its rate limit hold for this check as for any request, so that a caller may take it for dead, or use up its own limit.",
        "Make the path of the check the callee's `healthPath`, which its callers may always get.",
        Severity.WARNING,
    ),
    Code(
        "MSH4007",
        "rate-limit-too-slow",
        "Each sidecar counts for itself and forgets when it starts anew: that bounds a rate, and is no quota for hours or days.",
        "Write a shorter `per`, or more `requests`, so that a request is let in at least every hour; keep quotas in the application.",
    ),
    Code(
        "MSH4008",
        "slo-not-measurable",
        "An objective that no series can tell is never missed, whatever happens.",
        "Write what the series of the sidecars can tell.",
    ),
)
