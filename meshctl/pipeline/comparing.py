"""What a change means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshctl.pipeline.building import emit
from meshctl.pipeline.checking import Validated

if TYPE_CHECKING:
    from meshctl.diff import FileChange, MeshDiff


def diff(before: Validated, after: Validated) -> MeshDiff:
    """What changes from one valid spec to another."""
    from meshctl.diff import compare

    return compare(before.require(), after.require())


def rendered_diff(before: Validated, after: Validated) -> tuple[FileChange, ...]:
    """The output files that differ between two valid specs."""
    from meshctl.diff import compare_artifacts

    return tuple(compare_artifacts(emit(before.require()), emit(after.require())))
