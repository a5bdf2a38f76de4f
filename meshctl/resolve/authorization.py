"""Authorization: with `declared`, the calls are the permissions."""

from __future__ import annotations

from collections.abc import Iterable

from meshctl import ir
from meshctl.resolve.mtls import identity
from meshctl.spec import Spec


def authorization(spec: Spec, callers: Iterable[str]) -> ir.Authorization:
    """Who may call a service with these declared callers. Nobody where there are none."""
    written = spec.written.mesh.authorization
    return ir.Authorization(
        ir.AuthorizationMode.DECLARED,
        tuple(ir.AuthorizationRule((identity(spec, caller),)) for caller in sorted(callers)),
        at=spec.source["mesh"].at("authorization") if written is not None else None,
    )
