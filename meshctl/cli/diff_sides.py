"""The two sides of `diff`: the revisions that its arguments name, and the spec in each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from meshctl.cli import options, sides
from meshctl.diagnostics import UsageError

if TYPE_CHECKING:
    from meshctl.pipeline import Validated

WORK_TREE = "the work tree"
_RANGE = re.compile(r"(?P<base>.*?)(?P<dots>\.\.\.?)(?P<head>[^.].*|)", re.DOTALL)


class Sides(Struct, frozen=True):
    """The specs before and after, None where one of them has none; both are never None."""

    before: Validated | None
    after: Validated | None
    note: str
    """What is to be said where one of them has none, or has it elsewhere; else empty."""

    @property
    def missing(self) -> str | None:
        """The side that has none."""
        if self.before is None:
            return "before"
        return "after" if self.after is None else None


def revisions(base: str | None, head: str | None) -> tuple[str, str | None]:
    """The revisions to compare, None for the work tree: `BASE`, `BASE HEAD`, `BASE..HEAD`, or `BASE...HEAD`, which begins at their merge base.

    Raises UsageError for what cannot be revisions.
    """
    from meshctl import pipeline

    found = _RANGE.fullmatch(base) if base is not None else None
    if found is None:
        return base if base is not None else "HEAD", head
    if head is not None:
        raise UsageError(f"`{base}` names both revisions; leave `{head}` out")
    one, other = found["base"] or "HEAD", found["head"] or "HEAD"
    for each in (one, other):
        sides.require_revision(each)
    return (pipeline.merge_base(one, other) if found["dots"] == "..." else one), other


def read(base: str, head: str | None, spec: str | None, environment: str | None) -> Sides:
    """Both specs. Without ``spec`` each side has its own `mesh.yaml` or `mesh/`.

    Where one side has none there, the spec is followed to where git says that it was moved from, or to. Raises UsageError
    where neither side has one.
    """
    from meshctl import pipeline

    here = _here(spec) if head is None else None
    old = [sides.revision(base, each) for each in _candidates(spec, here)]
    if head is not None:
        new = [sides.revision(head, each) for each in _candidates(spec, None)]
    else:
        new = [here] if here is not None else []
    before, after = pipeline.validate_sides(old, new, environment)
    if (before is None) != (after is None):
        followed = _followed(base, head, _candidates(spec, here), (old, new), after is None, environment)
        if followed is not None:
            return followed
    names = (base, WORK_TREE if head is None else head)
    what = spec if spec is not None else "mesh.yaml or mesh/"
    if before is None and after is None:
        raise UsageError(
            f"there is no {what} in {names[0]}, and none in {names[1]}; name the spec with --spec"
        )
    note = ""
    if before is None:
        note = f"there is no {what} in {names[0]}: everything is added"
    elif after is None:
        note = f"there is no {what} in {names[1]}: everything is removed"
    return Sides(before, after, note)


def _followed(
    base: str,
    head: str | None,
    candidates: Iterable[str],
    places: tuple[Sequence[str], Sequence[str]],
    moved_on: bool,
    environment: str | None,
) -> Sides | None:
    """Both specs where the side that has none has it under another name: the one after if it ``moved_on``, else the one before."""
    from meshctl import pipeline

    old, new = places
    there, elsewhere = (base, head) if moved_on else (head, base)
    for each in candidates:
        place = pipeline.renamed_spec(each, there, elsewhere)
        if place is None:
            continue
        location = f"{elsewhere}:{place}" if elsewhere is not None else place
        if moved_on:
            before, after = pipeline.validate_sides(old, [location], environment)
            note = f"the spec is {_name(place)} afterwards"
        else:
            before, after = pipeline.validate_sides([location], new, environment)
            note = f"the spec was {_name(place)} before"
        if before is not None and after is not None:
            return Sides(before, after, note)
    return None


def _name(place: str) -> str:
    if place in ("", "."):
        return "the whole repository"
    return place if place.endswith((".yaml", ".yml", ".json")) else f"{place}/"


def _here(spec: str | None) -> str | None:
    """The spec in the work tree, if it is there."""
    if spec is not None:
        return spec
    return next((each for each in options.DEFAULT_SPECS if Path(each).exists()), None)


def _candidates(spec: str | None, here: str | None) -> Iterable[str]:
    if spec is not None:
        return (spec,)
    return dict.fromkeys((*([here] if here is not None else ()), *options.DEFAULT_SPECS))
