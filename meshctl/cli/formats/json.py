"""meshctl's own document, as `schemas/findings.schema.json` describes it."""

from __future__ import annotations

from collections.abc import Sequence

from meshctl.cli.formats.context import Context, docs_link, json_text, line_and_column
from meshctl.diagnostics import Finding, Position, Severity

SCHEMA_VERSION = 1


def render(findings: Sequence[Finding], context: Context) -> str:
    """Every finding with all that is known of it, and how many there are."""
    counts = {
        severity.value: sum(each.severity is severity and not each.is_accepted for each in findings)
        for severity in Severity
    }
    held = {} if context.absent is None else {"inBaseline": sum(each.in_baseline for each in findings)}
    document: dict[str, object] = {
        "schemaVersion": SCHEMA_VERSION,
        "findings": [_entry(each, context) for each in findings],
        "summary": counts | {"waived": sum(bool(each.waived) for each in findings)} | held,
    }
    if context.verdicts is not None:
        document["verdicts"] = [{"title": each.title, "findings": each.findings} for each in context.verdicts]
    return json_text(document)


def _entry(finding: Finding, context: Context) -> dict[str, object]:
    return {
        "code": finding.code,
        "slug": finding.slug,
        "severity": finding.severity.value,
        "message": finding.message,
        "at": place(finding.at),
        "why": finding.why,
        "fix": finding.fix,
        "docs": docs_link(finding.code),
        "related": [{"at": place(each.at), "message": each.message} for each in finding.related],
        "waived": finding.waived,
        "edit": _edit(finding, context),
        **({} if context.absent is None else {"inBaseline": finding.in_baseline}),
    }


def _edit(finding: Finding, context: Context) -> dict[str, object] | None:
    """What `lint --fix` would change."""
    changes = context.fixes.get(finding)
    if finding.mend is None or not changes:
        return None
    file = finding.mend.edit.part.at.file
    text = context.texts[file]
    return {
        "file": file,
        "safe": finding.mend.safe,
        "changes": [
            {"from": _point(text, each.begin), "to": _point(text, each.end), "text": each.text}
            for each in changes
        ],
    }


def _point(text: str, index: int) -> dict[str, int]:
    line, column = line_and_column(text, index)
    return {"line": line, "column": column}


def place(at: Position | None) -> dict[str, object] | None:
    """A place as every document has it; null where nobody wrote the thing."""
    return {"file": at.file, "line": at.line, "column": at.column} if at else None
