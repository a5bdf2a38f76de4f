"""What a change means."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from meshctl.diagnostics import UsageError
from meshctl.pipeline.building import emit
from meshctl.pipeline.checking import Loaded, Validated, check, understand

if TYPE_CHECKING:
    from meshctl.diff import FileChange, MeshDiff
    from meshctl.ir import Mesh
    from meshctl.ir.change import MeshChange, NewWay
    from meshctl.ir.slo import ServiceLevel


class Compared(Struct, frozen=True):
    """All that is told of a change."""

    diff: MeshDiff
    change: MeshChange
    """Services under their new names on both sides, so that a renamed one is neither new nor gone."""
    ways: tuple[NewWay, ...]
    """Who newly reaches whom through others, beside those who are let in by a call of their own."""
    lost: tuple[tuple[str, str], ...]
    """Who did so, and can no more."""


def validate_sides(
    before: Sequence[str], after: Sequence[str], environment: str | None = None
) -> tuple[Validated | None, Validated | None]:
    """Both sides of a comparison, each at the first of its locations where there is a spec; None where there is none.

    What both hold is parsed and resolved once, so that the one before has the places of the one after there. As long as it is
    valid it has no findings; else both are as :func:`validate` has them. Sidecars have no build ids yet.
    """
    from meshctl.load import read_first_specs

    was, now = read_first_specs((before, after), environment)
    old = understand(was, environment) if was is not None else None
    new = understand(now, environment, old.spec if old is not None else None) if now is not None else None
    made = check(new, builds=False) if new is not None else None
    if old is None:
        return None, made
    return (_like(old, made) if made is not None else None) or check(old, builds=False), made


def _like(loaded: Loaded, other: Validated) -> Validated | None:
    """The mesh of a spec with all of it taken from ``other`` that is the same there; None where anything is wrong."""
    from meshctl import resolve
    from meshctl.targets.check import check as check_targets

    if loaded.spec is None or other.spec is None or other.mesh is None:
        return None
    resolution = resolve.resolve(loaded.spec, builds=False, like=resolve.Resolved(other.spec, other.mesh))
    if resolution.mesh is None:
        return None
    known = set(map(id, other.mesh.sidecars))
    fresh = tuple(each for each in resolution.mesh.sidecars if id(each) not in known)
    asked = (*resolution.findings, *check_targets(replace(resolution.mesh, sidecars=fresh)))
    if any(each.is_error for each in asked):
        return None
    return Validated(
        loaded.spec,
        resolution.mesh,
        (),
        loaded.texts,
        loaded.digest,
        loaded.source,
        environment=loaded.environment,
    )


def compare(before: Validated | None, after: Validated | None) -> Compared:
    """What changes from one valid spec to another; None stands for none at all, so that everything comes or goes.

    Raises FindingsError where there is a spec that means nothing.
    """
    from meshctl import diff, simulate

    old, new = _with_builds(*_meshes(before, after))
    compared = diff.compare(old, new, _promises(before), _promises(after))
    was = diff.under(old, dict(compared.renamed))
    change = change_between(was, new)
    if compared.renamed:
        # Who calls a service by another name does send other requests.
        callers = {*diff.touched(old, new).callers, *_refused(change)}
        change = replace(change, callers=tuple(sorted(callers)))
    changed = diff.services_of(change)
    ways, lost = simulate.ways_change(was, new, change.opened, change.closed, changed)
    follows = (*compared.consequences, *simulate.rerouted(was, new))
    return Compared(replace(compared, consequences=follows), change, ways, lost)


def _promises(side: Validated | None) -> dict[str, ServiceLevel]:
    from meshctl.resolve.slo import service_levels

    return service_levels(side.spec) if side is not None and side.spec is not None else {}


def _meshes(before: Validated | None, after: Validated | None) -> tuple[Mesh, Mesh]:
    old, new = (each.require() if each is not None else None for each in (before, after))
    some = new or old
    if some is None:
        raise ValueError("one of the two specs has to be there")
    nothing = replace(some, sidecars=(), calls=())
    return old or nothing, new or nothing


def _with_builds(before: Mesh, after: Mesh) -> tuple[Mesh, Mesh]:
    from meshctl.resolve import with_builds

    return with_builds(before, beside=after), with_builds(after, beside=before)


def change_between(before: Mesh, after: Mesh) -> MeshChange:
    """What the change touches, whom it lets in, and what of it needs an order."""
    from meshctl import diff, simulate

    old, new = _with_builds(before, after)
    touched = diff.touched(old, new)
    changed = diff.services_of(touched)
    opened, closed = simulate.reach_change(old, new, changed)
    narrowed = simulate.narrowing(old, new, closed, changed)
    made = replace(touched, opened=opened, closed=closed, narrowed=narrowed)
    return replace(made, callers=tuple(sorted({*made.callers, *_refused(made)})))


def _refused(change: MeshChange) -> Iterator[str]:
    """Callers who are refused newly, whatever becomes of their own bundles."""
    for caller, _ in (*change.closed, *(each.pair for each in change.narrowed)):
        yield caller


def rendered_diff(before: Validated | None, after: Validated | None) -> tuple[FileChange, ...]:
    """The output files that differ between two valid specs; None as in :func:`compare`."""
    from meshctl.diff import compare_artifacts
    from meshctl.resolve import with_builds

    return tuple(compare_artifacts(*(emit(with_builds(each)) for each in _meshes(before, after))))


def merge_base(one: str, other: str) -> str:
    """The commit that two revisions have in common, by its id. Raises UsageError where there is none, or no such revision."""
    from meshctl.load import revision

    return revision.merge_base(one, other)


def renamed_spec(spec: str, there: str | None, elsewhere: str | None) -> str | None:
    """Where the spec at the path ``spec`` in the revision ``there`` is in ``elsewhere``, if it has another name there.

    None stands for the work tree, of which what is staged counts. The place counts from the top of the repository in a
    revision, and from the working folder in the work tree. None where there is no telling.
    """
    from meshctl.load.moves import renamed_between

    try:
        return renamed_between(there, elsewhere, os.path.relpath(spec))
    except UsageError:
        # A partial clone may lack what git would have to look into: then nothing is the same as anything.
        return None
