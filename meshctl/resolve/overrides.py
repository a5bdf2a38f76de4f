"""Changes to a whole spec that a command asks for."""

from __future__ import annotations

from meshctl.spec import Spec


def with_proxy(spec: Spec, proxy: str) -> Spec:
    """The same spec with every sidecar being ``proxy``."""
    services = {
        name: service.model_copy(update={"proxy": None}) if service.proxy else service
        for name, service in (spec.written.services or {}).items()
    }
    gateways = {
        name: gateway.model_copy(update={"proxy": None}) if gateway.proxy else gateway
        for name, gateway in (spec.written.gateways or {}).items()
    }
    mesh = spec.written.mesh.model_copy(update={"proxy": proxy})
    return Spec(
        spec.written.model_copy(
            update={"mesh": mesh, "services": services or None, "gateways": gateways or None}
        ),
        spec.source,
    )
