"""The whole mesh alive on this machine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from meshctl.pipeline.building import build
from meshctl.pipeline.checking import Validated

if TYPE_CHECKING:
    from meshctl.pipeline.rehearsal import Rehearsal


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
    save_authority(authority, create_authority(mesh.trust_domain, now))
    build(validated, out / "build", now=now, authority=authority, verify="none")
    return rehearse(mesh, out / "build", sink, with_applications=with_applications)
