"""From a mesh to the rules around its sidecars."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from meshctl import __version__
from meshctl.artifacts import Artifact, Plan, Written
from meshctl.pipeline.checking import Validated

if TYPE_CHECKING:
    from meshctl.resolve.segmentation import Surroundings
    from meshctl.segmentation import Options, Segmenter

SEGMENTATION = "segmentation.json"
"""The manifest of such files, beside that of a build where both are in one folder."""


def segment(
    validated: Validated,
    form: Segmenter,
    options: Options,
    around: Surroundings,
    services: Sequence[str] = (),
) -> tuple[Artifact, ...]:
    """Every file of one format, or those of ``services`` only. Raises FindingsError when the spec has errors."""
    from meshctl.resolve.segmentation import perimeters
    from meshctl.segmentation import EMITTERS

    mesh = validated.require()
    if validated.spec is None:  # there is no mesh then
        return ()
    found = perimeters(validated.spec, mesh, around)
    chosen = [each for each in found if not services or each.service in services]
    return tuple(EMITTERS[form](chosen, options.naming, intercept=options.intercept))


def write_segmentation(
    validated: Validated,
    artifacts: Sequence[Artifact],
    out: Path,
    form: Segmenter,
    services: Sequence[str] = (),
) -> Written:
    """Bring ``out`` to hold exactly these files of ``form``, or of its ``services``; other formats stay."""
    mesh = validated.require()
    scope = tuple(f"{form}/{each}/" for each in services) or (f"{form}/",)
    plan = Plan(out, artifacts, scope, mesh.name, manifest=SEGMENTATION)
    return plan.apply({"meshctl": __version__, "mesh": mesh.name, "spec": validated.digest})
