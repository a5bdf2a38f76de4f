"""Codes of range 7: portability."""

from __future__ import annotations

from meshctl.catalogue.code import Code
from meshctl.diagnostics import Severity

CODES = (
    Code(
        "MSH7001",
        "unsupported-on-target",
        "The proxy that must do this cannot; leaving it out in silence would change what the spec means.",
        "Use what is suggested instead, or another proxy for this service.",
    ),
    Code(
        "MSH7002",
        "approximated-on-target",
        "The proxy that must do this differs from the spec in the way described.",
        "Accept the difference with a waiver, or use another proxy for this service.",
        Severity.WARNING,
    ),
    Code(
        "MSH7003",
        "not-yet-supported",
        "The language has it so that specs can be written for good, but no proxy target compiles it yet: requests go as if it were not written.",
        "Leave it and waive this finding, or take it out until a release of meshctl compiles it.",
        Severity.WARNING,
    ),
    Code(
        "MSH7004",
        "not-on-platform",
        "The platform has no way to run this sidecar as the spec describes it; what would be written for it could not work.",
        "Change where the spec says the service is, or choose another platform.",
    ),
    Code(
        "MSH7005",
        "address-on-platform",
        "The platform gives addresses as it pleases, so callers would ask for the service where it is not.",
        "Let the service be looked up, or see to it that it has this address.",
        Severity.WARNING,
    ),
)
