"""The two specs of a comparison, and what is said where one of them cannot be compared."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from meshctl.cli import findings
from meshctl.diagnostics import UsageError

if TYPE_CHECKING:
    from meshctl.pipeline import Validated


def revision(name: str, spec: str) -> str:
    """The spec at the path ``spec`` in a git revision. Raises UsageError for what cannot be one."""
    require_revision(name)
    path = os.path.relpath(spec)
    return f"{name}:./{path}" if path != "." else f"{name}:."


def require_revision(name: str) -> None:
    """Raises UsageError for what cannot be a git revision without a path."""
    if ":" in name or not name:
        raise UsageError(f"`{name}` is not a revision; name the spec with --spec")


def before(against: str, spec: str, environment: str | None) -> Validated:
    """The spec that ``--against`` names."""
    from meshctl import pipeline

    return pipeline.validate(_location(against, spec), environment=environment)


def _location(against: str, spec: str) -> str:
    """A file or a folder where there is one, else the same path in a git revision."""
    if os.path.lexists(against) or ":" in against:
        return against
    if not against:
        raise UsageError("--against is empty; name a git revision, a file or a folder")
    if not os.path.lexists(spec) and ":" in spec:
        return f"{against}:{spec.partition(':')[2]}"
    return revision(against, spec)


def usable(*sides: Validated) -> bool:
    """Whether all of them are valid; where not, their findings are shown on standard error."""
    unusable = [each for each in sides if each.mesh is None]
    for each in unusable:
        findings.show(each.findings, each.texts, "text", to=sys.stderr)
    if unusable:
        sys.stderr.write("there is nothing to compare with a spec that is not valid\n")
    return not unusable
