"""From a mesh to what those need who watch it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from meshctl import __version__
from meshctl.artifacts import Artifact, Plan, Written
from meshctl.diagnostics import UsageError
from meshctl.pipeline.checking import Validated
from meshctl.pipeline.documents import written

if TYPE_CHECKING:
    from meshctl.ir.observability import Watched

OBSERVABILITY = "observability.json"
"""The manifest of such files, beside that of a build where both are in one folder."""


def observe(validated: Validated) -> tuple[tuple[Artifact, ...], tuple[Watched, ...]]:
    """Every file, and those services that no Prometheus can reach.

    Raises FindingsError when the spec has errors, UsageError where it asks for no metrics.
    """
    from meshctl.observability import emit
    from meshctl.resolve.observability import observed

    mesh = validated.require()
    if validated.spec is None or all(each.metrics is None for each in mesh.sidecars):
        raise UsageError("the mesh counts nothing; write `metrics: {format: prometheus}` under `mesh`")
    found = observed(validated.spec, mesh)
    unreachable = tuple(each for each in found.watched if not each.is_reachable)
    return tuple(written(each) for each in emit(found)), unreachable


def write_observability(validated: Validated, artifacts: Sequence[Artifact], out: Path) -> Written:
    """Bring ``out`` to hold exactly these files."""
    mesh = validated.require()
    plan = Plan(out, artifacts, (), mesh.name, manifest=OBSERVABILITY)
    return plan.apply({"meshctl": __version__, "mesh": mesh.name, "spec": validated.digest})
