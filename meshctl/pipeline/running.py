"""The whole mesh alive on this machine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from meshctl import ir
from meshctl.pipeline.building import build
from meshctl.pipeline.checking import Validated

if TYPE_CHECKING:
    from meshctl.pipeline.rehearsal import Rehearsal
    from meshctl.pki.authority import Authority


def up(
    validated: Validated,
    out: Path,
    *,
    now: datetime,
    sink: Callable[[str, str], None],
    with_applications: bool,
) -> AbstractContextManager[Rehearsal]:
    """Build below ``out`` with a throwaway CA, and run the mesh for the length of a ``with`` block.

    ``sink`` takes the name of a program and a line of its output. Raises what :func:`build` raises, and
    ToolError when an address is taken or a program does not start.
    """
    from meshctl.pipeline.rehearsal import rehearse
    from meshctl.pki.authority import create_authority, save_authority

    mesh = validated.require()
    authority = out / "ca"
    new = create_authority(mesh.trust_domain, now)
    save_authority(authority, new)
    mesh = _with_host_files(mesh, out / "host", new.authority, now)
    moved = structs.replace(validated, mesh=mesh)
    build(moved, out / "build", now=now, authority=authority, verify="none")
    return rehearse(mesh, out / "build", sink, with_applications=with_applications)


def _with_host_files(mesh: ir.Mesh, folder: Path, authority: Authority, now: datetime) -> ir.Mesh:
    """Gateways show a certificate of this mesh's CA, for their own is on another host."""
    from meshctl.pipeline.throwaway import needs_files, with_files_below
    from meshctl.pki.issue import issue
    from meshctl.resolve.digest import with_builds

    lifetime = mesh.certificates.lifetime
    sidecars = tuple(
        with_files_below(each, folder, issue(authority, each.identity, lifetime, now))
        if needs_files(each)
        else each
        for each in mesh.sidecars
    )
    return with_builds(structs.replace(mesh, sidecars=sidecars))
