"""The build id of a sidecar: a digest of its own resolved model, places left out."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from fractions import Fraction

import orjson
from msgspec import Struct, structs

from meshctl import ir
from meshctl.diagnostics import Position


def with_builds(mesh: ir.Mesh, *, beside: ir.Mesh | None = None) -> ir.Mesh:
    """The mesh with the build id of every sidecar filled in, where they are not; who only asks questions needs none.

    Sidecars that the mesh shares with one ``beside`` it are left alone: they are the same, whatever their build is.
    """
    shared = frozenset(map(id, beside.sidecars)) if beside is not None else frozenset()
    if all(each.build or id(each) in shared for each in mesh.sidecars):
        return mesh
    return structs.replace(
        mesh,
        sidecars=tuple(
            each if each.build or id(each) in shared else structs.replace(each, build=digest(each))
            for each in mesh.sidecars
        ),
    )


def digest(sidecar: ir.Sidecar) -> str:
    """``sha256:…`` of everything that the emitters see; only whether a thing was written counts."""
    return "sha256:" + hashlib.sha256(orjson.dumps(sidecar, default=plain)).hexdigest()


def plain(value: object) -> object:
    """The JSON form of what orjson does not know: durations in milliseconds, shares as fractions, places as ``true``."""
    if isinstance(value, Struct):
        return structs.asdict(value)
    if isinstance(value, timedelta):
        return value // timedelta(milliseconds=1)
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, Position):
        return True
    raise TypeError(type(value).__name__)
