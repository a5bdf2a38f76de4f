"""SARIF 2.1.0 (OASIS), which code scanning services and editors read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from meshctl.cli.formats.context import Context, docs_link, json_text, line_and_column
from meshctl.diagnostics import Finding, Position, Severity, fingerprints

if TYPE_CHECKING:
    from meshctl.lint.baseline import Absent
    from meshctl.pipeline import Rule

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_DOCS = "https://meshctl.dev/"
"""Before the links of the documentation: SARIF takes absolute ones only. The domain is that of `apiVersion`."""


def render(findings: Sequence[Finding], context: Context) -> str:
    """One run that declares every rule, whether or not it found something."""
    from meshctl import __version__

    indices = {rule.code: index for index, rule in enumerate(context.rules)}
    absent = context.absent or ()
    marks = fingerprints([*context.identities(findings), *(each.identity for each in absent)])
    results = [_result(each, mark, context, indices) for each, mark in zip(findings, marks, strict=False)]
    gone = [_gone(each, mark, indices) for each, mark in zip(absent, marks[len(findings) :], strict=True)]
    driver = {
        "name": "meshctl",
        "semanticVersion": __version__,
        "rules": [_rule(each) for each in context.rules],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": results + gone,
    }
    return json_text({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(rule: Rule) -> dict[str, Any]:
    link = docs_link(rule.code)
    return {
        "id": rule.code,
        "name": rule.slug,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": f"{rule.why}\n\n{rule.fix}"},
        **({"helpUri": _DOCS + link} if link else {}),
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
    }


def _result(
    finding: Finding, fingerprint: str, context: Context, indices: Mapping[str, int]
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "level": _LEVELS[finding.severity],
        "message": {"text": _literal(f"{finding.message}. {finding.fix}")},
        "locations": [_location(context.place(finding))],
        "partialFingerprints": {"meshctl/v1": fingerprint},
    }
    if finding.code in indices:
        result["ruleIndex"] = indices[finding.code]
    if finding.related:
        result["relatedLocations"] = [
            {"id": number, **_location(each.at), "message": {"text": _literal(each.message)}}
            for number, each in enumerate(finding.related)
        ]
    if context.absent is not None:
        result["baselineState"] = "unchanged" if finding.in_baseline else "new"
    if finding.waived:
        result["suppressions"] = [{"kind": "inSource", "status": "accepted", "justification": finding.waived}]
    elif finding.in_baseline:
        held = {"kind": "external", "status": "accepted", "justification": "in the baseline"}
        result["suppressions"] = [held]
    if finding in context.fixes:
        result["fixes"] = [_fix(finding, context)]
    return result


def _fix(finding: Finding, context: Context) -> dict[str, Any]:
    file = finding.mend.edit.part.at.file if finding.mend is not None else context.place(finding).file
    replacements = []
    for each in context.fixes[finding]:
        line, column = line_and_column(context.texts[file], each.begin)
        end_line, end_column = line_and_column(context.texts[file], each.end)
        region = {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}
        inserted = {"insertedContent": {"text": each.text}} if each.text else {}
        replacements.append({"deletedRegion": region, **inserted})
    return {
        "description": {"text": _literal(finding.fix)},
        "artifactChanges": [{"artifactLocation": {"uri": _uri(file)}, "replacements": replacements}],
    }


def _gone(absent: Absent, fingerprint: str, indices: Mapping[str, int]) -> dict[str, Any]:
    """What the baseline holds and nobody finds. Services that know no `baselineState` must not take it for a fault: it passes."""
    code, _, _, words = absent.identity
    index = {"ruleIndex": indices[code]} if code in indices else {}
    return {
        "ruleId": code,
        **index,
        "kind": "pass",
        "level": "none",
        "message": {"text": _literal(words)},
        "locations": [_location(absent.at)],
        "partialFingerprints": {"meshctl/v1": fingerprint},
        "baselineState": "absent",
    }


def _location(at: Position) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(at.file)},
            "region": {"startLine": at.line, "startColumn": at.column},
        }
    }


def _literal(text: str) -> str:
    """``text`` without placeholders such as ``{0}``, which a reader would fill in (section 3.11.5)."""
    return re.sub(r"\{(\d+)\}", r"{{\1}}", text)


def _uri(file: str) -> str:
    """The file as a URI: relative to where meshctl ran, as services of code scanning want it, or absolute."""
    from urllib.parse import quote

    path = quote(file, errors="backslashreplace")
    return f"file://{path}" if path.startswith("/") else path.removeprefix("./")
