"""The spec as written by the user: pydantic at the edge, and the places of what was written."""

from __future__ import annotations

from dataclasses import dataclass

from meshctl.spec.mesh import MeshSpec
from meshctl.spec.source import Positions, Source


@dataclass(frozen=True, slots=True)
class Spec:
    """A spec that has the right shape, and the cursor to its places."""

    written: MeshSpec
    source: Source


__all__ = ["MeshSpec", "Positions", "Source", "Spec"]
