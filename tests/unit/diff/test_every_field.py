"""Whatever a field of the language changes in the resolved mesh, diff has words for it."""

from __future__ import annotations

from itertools import islice

import pytest
from pydantic import ValidationError

from meshctl.diff import compare
from meshctl.resolve import resolve
from meshctl.spec import MeshSpec, Spec
from tests.unit.resolve.test_every_field import (
    FILES,
    FULL,
    IDLE,
    OTHERS,
    changed,
    is_scalar,
    paths,
    source,
    without,
)


def mesh(data):
    """The mesh of valid data, or None."""
    try:
        spec = MeshSpec.model_validate(data)
    except ValidationError:
        return None
    return resolve(Spec(spec, source(data), FILES), builds=False).mesh


BASE = mesh(FULL)
assert BASE is not None, "the example has a finding, see resolve/test_every_field.py"

TELLING = 2
"""So many other meshes are compared for each place of a field."""


def others(path):
    """Meshes that differ from the base in the field at ``path`` alone."""
    for data in (without(path), *(changed(path, value) for value in OTHERS)):
        other = mesh(data) if data is not None else None
        if other is not None and other != BASE:
            yield other


@pytest.mark.parametrize("field", sorted(paths().keys() - IDLE.keys()))
def test_what_a_field_changes_is_told(field):
    tried = ((path, other) for path in paths()[field] for other in islice(others(path), TELLING))
    compared = list(islice(tried, TELLING * TELLING))
    for path, other in compared:
        assert compare(BASE, other).changes, path
    # A section is compared by what is in it.
    assert compared or not any(map(is_scalar, paths()[field]))
