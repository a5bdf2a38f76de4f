"""GitLab's Code Quality report, the part of the Code Climate format that GitLab reads.

It has no word for a finding that somebody accepted, so a waived one, or one in a baseline, is information that says so:
were it left out, GitLab would tell on a merge request that it was mended.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from meshctl.cli.formats.context import Context, accepted, json_text
from meshctl.diagnostics import Finding, Severity, fingerprints

_SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "minor", Severity.INFO: "info"}


def render(findings: Sequence[Finding], context: Context) -> str:
    """A list with an entry for each finding."""
    marks = fingerprints(context.identities(findings))
    return json_text([_entry(each, mark, context) for each, mark in zip(findings, marks, strict=True)])


def _entry(finding: Finding, fingerprint: str, context: Context) -> dict[str, object]:
    at = context.place(finding)
    return {
        "description": f"{finding.message}{accepted(finding)}. {finding.fix}",
        "check_name": f"{finding.code} {finding.slug}",
        "fingerprint": fingerprint,
        "severity": "info" if finding.is_accepted else _SEVERITIES[finding.severity],
        # GitLab links paths as they stand in the repository, without `./`.
        "location": {"path": posixpath.normpath(at.file), "lines": {"begin": at.line}},
    }
