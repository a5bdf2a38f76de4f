"""Codes of range 8: change."""

from __future__ import annotations

from meshctl.catalogue.code import Code
from meshctl.diagnostics import Severity

CODES = (
    Code(
        "MSH8001",
        "expired-waiver",
        "A waiver accepts a fault until a date. After it somebody has to decide again.",
        "Mend what is waived and remove the waiver, or agree on another date.",
    ),
    Code(
        "MSH8002",
        "unused-waiver",
        "What it waives is not found here any more; left standing it would hide the next such fault.",
        "Remove the waiver.",
        Severity.WARNING,
        fixable="safe",
    ),
    Code(
        "MSH8003",
        "distant-waiver",
        "A date that nobody will live to see is a fault accepted for good.",
        "Set `until` to a date at most 180 days ahead.",
        Severity.WARNING,
    ),
    Code(
        "MSH8004",
        "mandatory-rule",
        "Some rules hold for everybody, whatever one team thinks of them; a waiver or a setting would be an exception that nobody else agreed to.",
        "Mend what the rule finds, or ask those who own the rules for a profile.",
    ),
    Code(
        "MSH8005",
        "unused-baseline",
        "What it holds back is not there any more; left standing it would hide the next such fault.",
        "Remove the line, or write the baseline again with `--update-baseline`, which holds back what is new, too.",
        Severity.WARNING,
    ),
)
