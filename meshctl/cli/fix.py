"""`meshctl lint --fix` and `--diff`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

from meshctl.cli import findings
from meshctl.cli.formats.context import one_line
from meshctl.diagnostics import Finding

if TYPE_CHECKING:
    from meshctl.pipeline import Fixed, Question

_NO_NEWLINE = "\n\\ No newline at end of file\n"


def fixable(finding: Finding, *, unsafe: bool, done: bool) -> bool:
    """Whether there is a fix for it, which is still to be proven, and was not tried just now."""
    mend = finding.mend
    return not done and mend is not None and (mend.safe or unsafe) and not finding.is_accepted


def fix(question: Question, *, unsafe: bool, baseline: Path | None, update: bool) -> None:
    """Fix what can be fixed, and say so. Raises UsageError, with nothing written, for a baseline that cannot be used."""
    from meshctl import pipeline
    from meshctl.pipeline.baseline import open_baseline, require_same

    file = open_baseline(baseline, update=update) if baseline is not None else None
    fixed = pipeline.fix(question, unsafe=unsafe)
    if file is not None and fixed.linted.mesh is not None:
        require_same(file, fixed.linted.mesh.name, fixed.linted.environment)
    pipeline.write_fixes(fixed)
    if not fixed.linted.unreadable:
        tell(fixed, "fixed")


def show_diff(fixed: Fixed) -> int:
    """Print what would be fixed as a patch for ``patch -p1``; the exit code says whether there is anything."""
    if fixed.linted.unreadable:
        findings.show(fixed.linted.findings, fixed.linted.texts, to=sys.stderr)
        return 2
    for name in sorted(fixed.after):
        sys.stdout.writelines(_patch(name, fixed.before[name].decode(), fixed.after[name].decode()))
    tell(fixed, "would fix")
    return int(bool(fixed.after))


def tell(fixed: Fixed, verb: str) -> None:
    """Say on standard error what was fixed, what was not, and why."""
    for each in fixed.withheld:
        place = f"{each.finding.at}: " if each.finding.at else ""
        sys.stderr.write(one_line(f"{place}{each.finding.code} is not fixed: {each.why}") + "\n")
    counts = Counter(each.slug for each in fixed.fixed)
    listed = ", ".join(f"{count} {slug}" for slug, count in sorted(counts.items()))
    nothing = "nothing else to fix" if fixed.withheld else "nothing to fix"
    sys.stderr.write(f"{verb} {len(fixed.fixed)}: {listed}\n" if counts else f"{nothing}\n")
    if fixed.unsafe:
        sys.stderr.write(f"{fixed.unsafe} more with --unsafe-fixes\n")


def _patch(name: str, before: str, after: str) -> Iterator[str]:
    path = name if name.startswith("/") else name.removeprefix("./")
    old, new = (f"{side}{path}" if path.startswith("/") else f"{side}/{path}" for side in ("a", "b"))
    for line in unified_diff(_lines(before), _lines(after), fromfile=old, tofile=new):
        yield line if line.endswith("\n") else line + _NO_NEWLINE


def _lines(text: str) -> list[str]:
    """As ``patch`` counts them: other characters that end lines for Python do not."""
    *whole, last = text.split("\n")
    return [*(f"{each}\n" for each in whole), *([last] if last else [])]
