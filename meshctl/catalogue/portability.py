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
)
