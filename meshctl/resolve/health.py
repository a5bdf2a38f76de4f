"""The health listener: off loopback and read only, where the spec asks for one."""

from __future__ import annotations

from meshctl import ir
from meshctl.resolve import applications
from meshctl.resolve.placements import Placement
from meshctl.spec import Spec
from meshctl.spec.service import ServiceSpec


def listener(
    spec: Spec, section: str, name: str, service: ServiceSpec | None, placement: Placement
) -> ir.HealthListener | None:
    """That of a service, or of a gateway, which has no application."""
    if not placement.health:
        return None
    http = service is not None and applications.protocol(service) is not ir.Protocol.TCP
    path = (service.health_path or "") if service is not None and http else ""
    own = spec.source[section][name]
    return ir.HealthListener(
        binds=placement.health,
        path=path,
        application=placement.application if path else None,
        at=own.at("health") if "health" in own else spec.source["mesh"].at("health"),
    )
