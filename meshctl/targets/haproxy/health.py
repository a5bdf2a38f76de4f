"""The listener for load balancers and kubelets."""

from __future__ import annotations

from meshctl import ir
from meshctl.targets.haproxy import quoting
from meshctl.targets.haproxy.model import Health


def health(sidecar: ir.Sidecar) -> Health | None:
    """Only where the spec asks for one. It asks the application, where there is one and a path to ask for."""
    listener = sidecar.health
    if listener is None:
        return None
    asks = listener.application if listener.path else None
    return Health(
        binds=quoting.binds(listener.binds),
        path=quoting.word(listener.path) if asks else None,
        application=quoting.address(asks) if asks else None,
        multiplexed=bool(sidecar.inbound and sidecar.inbound.protocol.multiplexed),
    )
