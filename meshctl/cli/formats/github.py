"""Annotations on a pull request: "Workflow commands for GitHub Actions", with its escaping of data and properties."""

from __future__ import annotations

from collections.abc import Sequence

from meshctl.cli.formats.context import Context, accepted, printable
from meshctl.diagnostics import Finding, Severity

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def render(findings: Sequence[Finding], context: Context) -> str:
    """A workflow command for each finding; waived ones are notices, and what a baseline holds is none."""
    return "".join(_command(each) for each in findings if not each.in_baseline)


def _command(finding: Finding) -> str:
    level = "notice" if finding.waived else _LEVELS[finding.severity]
    properties = {"title": f"{finding.code} {finding.slug}"}
    if finding.at:
        properties |= {
            "file": finding.at.file,
            "line": str(finding.at.line),
            "col": str(finding.at.column),
        }
    listed = ",".join(f"{key}={escaped(value, ':,')}" for key, value in properties.items())
    text = f"{finding.message}{accepted(finding)}. {finding.fix}"
    return f"::{level} {listed}::{escaped(text)}\n"


def escaped(text: str, more: str = "") -> str:
    """``text`` as data of a workflow command; as a property with ``:,`` escaped, too."""
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return printable(text)
