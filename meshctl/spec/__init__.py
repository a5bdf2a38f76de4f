"""The spec as written by the user: pydantic at the edge, and the places of what was written."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from meshctl.spec.mesh import MeshSpec
from meshctl.spec.source import Positions, Source


class Spec(Struct, frozen=True, eq=False):
    """A spec that has the right shape, and the cursor to its places.

    ``files`` are the contents of those that it names, by their paths as written.
    """

    written: MeshSpec
    source: Source
    files: Mapping[str, bytes] = field(default_factory=dict)


__all__ = ["MeshSpec", "Positions", "Source", "Spec"]
