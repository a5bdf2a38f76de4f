"""Findings as commands print them. The exit code never depends on the format."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from meshctl.cli.formats import RENDERERS, Context, Format
from meshctl.cli.formats.context import no_service, not_fixable, printable
from meshctl.diagnostics import Finding, FindingsError, MeshctlError, Severity

if TYPE_CHECKING:
    from meshctl.lint.baseline import Absent
    from meshctl.load.edits import Change
    from meshctl.pipeline import Validated
    from meshctl.pipeline.linting import Verdict

_FINGERPRINTED = (Format.SARIF, Format.GITLAB)


class FailOn(StrEnum):
    """What `--fail-on` takes."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    NEVER = "never"

    @property
    def threshold(self) -> Severity | None:
        """The mildest severity that gives exit code 1."""
        return None if self is FailOn.NEVER else Severity(self.value)


def exit_code(findings: Iterable[Finding], fail_on: FailOn) -> int:
    """1 when a finding that nobody has accepted is at least as grave as ``fail_on``; accepted ones never count."""
    context = Context(threshold=fail_on.threshold)
    return int(any(context.fails(each) for each in findings))


def show(
    findings: Sequence[Finding], texts: Mapping[str, str], form: str = "text", *, to: TextIO | None = None
) -> None:
    """Print findings to ``to`` (standard output where nothing else is said)."""
    out = to or sys.stdout
    context = Context(texts, colour=has_colour(out))
    out.write(RENDERERS[Format(form)](findings, context))


def tell(error: MeshctlError) -> int:
    """Say on standard error why a command ended, or a part of it did; returns the exit code for that."""
    if isinstance(error, FindingsError):
        show(error.findings, error.texts, to=sys.stderr)
        return error.exit_code
    sys.stderr.write(f"meshctl: {printable(str(error))}\n")
    return 2


def report(
    validated: Validated,
    form: Format,
    command: str,
    spec: str,
    *,
    fail_on: FailOn = FailOn.ERROR,
    policies: Path | None = None,
    verdicts: Sequence[Verdict] | None = None,
    fixable: Callable[[Finding], bool] = not_fixable,
    fixes: Mapping[Finding, Sequence[Change]] | None = None,
    absent: Sequence[Absent] | None = None,
    to: TextIO | None = None,
) -> str:
    """Print what ``command`` found in the spec at ``spec``, with all that a format may want to know of it; and give it."""
    from meshctl import pipeline

    out = to or sys.stdout
    context = Context(
        validated.texts,
        colour=has_colour(out),
        command=f"meshctl {command}",
        spec=printable(spec),
        threshold=fail_on.threshold,
        rules=pipeline.rules(policies) if form is Format.SARIF else (),
        verdicts=verdicts,
        service_of=pipeline.service_of(validated) if form in _FINGERPRINTED else no_service,
        fixable=fixable,
        fixes=fixes or {},
        absent=absent,
    )
    text = RENDERERS[form](validated.findings, context)
    out.write(text)
    return text


def summary(findings: Sequence[Finding]) -> str:
    """One line that counts, accepted findings apart."""
    counts = Counter(_kind(each) for each in findings)
    parts = [
        f"{counts[kind]} {kind}{'s' if counts[kind] != 1 and kind in set(Severity) else ''}"
        for kind in (*Severity, "waived", "in the baseline")
        if counts[kind]
    ]
    return ", ".join(parts) or "no findings"


def _kind(finding: Finding) -> str:
    if finding.waived:
        return "waived"
    return "in the baseline" if finding.in_baseline else finding.severity.value


def outcome(validated: Validated) -> str:
    """:func:`summary`, and what could not be looked at because of these findings."""
    waiting = "" if validated.spec else "; references and meaning were not checked"
    return f"{summary(validated.findings)}{waiting}"


def has_colour(out: TextIO) -> bool:
    """Whether ``out`` is a terminal whose user has not switched colours off."""
    import os

    return out.isatty() and not os.environ.get("NO_COLOR")


__all__ = [
    "FailOn",
    "Format",
    "exit_code",
    "has_colour",
    "outcome",
    "printable",
    "report",
    "show",
    "summary",
    "tell",
]
