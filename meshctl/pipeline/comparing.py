"""What a change means."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshctl.pipeline.building import emit
from meshctl.pipeline.checking import Validated

if TYPE_CHECKING:
    from meshctl.diff import FileChange, MeshDiff
    from meshctl.ir import Mesh
    from meshctl.ir.change import MeshChange


def diff(before: Validated, after: Validated) -> MeshDiff:
    """What changes from one valid spec to another."""
    from meshctl.diff import compare

    return compare(before.require(), after.require())


def change_between(before: Mesh, after: Mesh) -> MeshChange:
    """What the change touches, whom it lets in, and what of it needs an order."""
    from meshctl import diff, resolve, simulate

    old, new = (resolve.with_builds(each) for each in (before, after))
    touched = diff.touched(old, new)
    opened, closed = simulate.reach_change(old, new, diff.services_of(touched))
    return replace(touched, opened=opened, closed=closed)


def rendered_diff(before: Validated, after: Validated) -> tuple[FileChange, ...]:
    """The output files that differ between two valid specs."""
    from meshctl.diff import compare_artifacts

    return tuple(compare_artifacts(emit(before.require()), emit(after.require())))
