"""Whether two meshes are one and the same to everybody but their authors: sidecars get the same files."""

from __future__ import annotations

from collections.abc import Iterable

import orjson
from msgspec import structs

from meshctl import ir
from meshctl.diagnostics import Position


def same_files(before: ir.Mesh, after: ir.Mesh) -> bool:
    """Whether the bundles of both are equal byte by byte. Both are without build ids, which say what was written."""
    if _plain((structs.replace(before, sidecars=()),)) != _plain((structs.replace(after, sidecars=()),)):
        return False
    if len(before.sidecars) != len(after.sidecars):
        return False
    return all(map(_same_bundle, before.sidecars, after.sidecars))


def _same_bundle(before: ir.Sidecar, after: ir.Sidecar) -> bool:
    from meshctl.targets.bundle import bundle

    if (before.service, before.instance) != (after.service, after.instance):
        return False
    # Where nothing but places differs there is no need to print two bundles.
    return _plain((before,)) == _plain((after,)) or list(bundle(before)) == list(bundle(after))


def _plain(parts: Iterable[object]) -> bytes:
    return orjson.dumps(tuple(parts), default=_without_places)


def _without_places(value: object) -> object:
    from meshctl.resolve.digest import plain

    return None if isinstance(value, Position) else plain(value)
