"""JUnit's XML, as CI servers read it: each finding is a test case of the command.

Those that fail the run are failures, waived ones and those in a baseline are skipped, the others pass and tell what they found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from meshctl.cli.formats.context import Context, accepted, docs_link, one_line, printable
from meshctl.diagnostics import Finding

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def render(findings: Sequence[Finding], context: Context) -> str:
    """One suite; without findings it has one case that passes, for an empty suite reads as one that never ran."""
    from xml.etree import ElementTree as ET

    suite = ET.Element("testsuite", _counts(findings, context))
    for each in findings:
        _case(suite, each, context)
    if not findings:
        ET.SubElement(suite, "testcase", name="no findings", classname=one_line(context.spec))
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'


def _counts(findings: Sequence[Finding], context: Context) -> dict[str, str]:
    return {
        "name": context.command,
        "tests": str(len(findings) or 1),
        "failures": str(sum(context.fails(each) for each in findings)),
        "errors": "0",
        "skipped": str(sum(each.is_accepted for each in findings)),
    }


def _case(suite: Element, finding: Finding, context: Context) -> None:
    from xml.etree.ElementTree import SubElement

    at = context.place(finding)
    name = f"{finding.code} {finding.slug} {at}"
    case = SubElement(suite, "testcase", name=one_line(name), classname=one_line(at.file))
    message = one_line(finding.message)
    if finding.is_accepted:
        SubElement(case, "skipped", message=f"{message}{one_line(accepted(finding))}")
    elif context.fails(finding):
        failure = SubElement(case, "failure", type=finding.severity.value, message=message)
        failure.text = _told(finding, f"{at}: {message}")
    else:
        SubElement(case, "system-out").text = _told(finding, f"{at}: {finding.severity}: {message}")


def _told(finding: Finding, first: str) -> str:
    related = [f"{each.at}: {each.message}" for each in finding.related]
    rest = (("why: ", finding.why), ("fix: ", finding.fix), ("docs: ", docs_link(finding.code)))
    return printable("\n".join([first, *related, *(label + text for label, text in rest if text)]))
