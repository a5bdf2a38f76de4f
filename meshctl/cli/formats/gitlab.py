"""GitLab's Code Quality report, the part of the Code Climate format that GitLab reads.

It has no word for a finding that somebody accepted, so a waived one is information that says so.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from meshctl.cli.formats.context import Context, json_text
from meshctl.cli.formats.fingerprint import fingerprints
from meshctl.diagnostics import Finding, Severity

_SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "minor", Severity.INFO: "info"}


def render(findings: Sequence[Finding], context: Context) -> str:
    """A list with an entry for each finding."""
    marks = fingerprints(findings, context)
    return json_text([_entry(each, mark, context) for each, mark in zip(findings, marks, strict=True)])


def _entry(finding: Finding, fingerprint: str, context: Context) -> dict[str, object]:
    at = context.place(finding)
    waived = f" (waived: {finding.waived})" if finding.waived else ""
    return {
        "description": f"{finding.message}{waived}. {finding.fix}",
        "check_name": f"{finding.code} {finding.slug}",
        "fingerprint": fingerprint,
        "severity": "info" if waived else _SEVERITIES[finding.severity],
        # GitLab links paths as they stand in the repository, without `./`.
        "location": {"path": posixpath.normpath(at.file), "lines": {"begin": at.line}},
    }
