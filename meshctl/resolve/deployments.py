"""Where each sidecar runs, for those who write what a platform needs to start it."""

from __future__ import annotations

from meshctl import ir
from meshctl.diagnostics import Position
from meshctl.ir.deployment import Deployment, HeadlessService
from meshctl.resolve.placements import hosts
from meshctl.spec import Source, Spec


def deployments(spec: Spec, mesh: ir.Mesh) -> tuple[Deployment, ...]:
    """One for each sidecar, in the order of the mesh."""
    return tuple(_deployment(spec, mesh, each) for each in mesh.sidecars)


def _deployment(spec: Spec, mesh: ir.Mesh, sidecar: ir.Sidecar) -> Deployment:
    section = "gateways" if sidecar.is_gateway else "services"
    return Deployment(
        sidecar=sidecar,
        hosts=hosts(spec, sidecar),
        headless=_headless(spec, sidecar),
        renew_before=mesh.certificates.renew_before,
        at=_place(spec.source[section][sidecar.service]),
    )


def _headless(spec: Spec, sidecar: ir.Sidecar) -> HeadlessService | None:
    service = (spec.written.services or {}).get(sidecar.service)
    if service is None or service.discovery is None or service.discovery.kubernetes is None:
        return None
    found = service.discovery.kubernetes
    return HeadlessService(found.service, found.namespace or "")


def _place(source: Source) -> Position | None:
    for key in ("endpoints", "discovery"):
        if key in source:
            return source.at(key)
    return source.here
