"""The listener off loopback for load balancers and kubelets."""

from __future__ import annotations

from meshctl import ir
from meshctl.targets.nginx import http2, quoting
from meshctl.targets.nginx.model import Health


def health(sidecar: ir.Sidecar) -> Health | None:
    """None where the spec asks for none."""
    listener, inbound = sidecar.health, sidecar.inbound
    if listener is None:
        return None
    protocol = inbound.protocol if inbound else ir.Protocol.HTTP
    asks = bool(listener.path) and listener.application is not None
    return Health(
        listens=tuple(quoting.address(bind) for bind in listener.binds),
        path=quoting.map_regex(rf"^(?:GET|HEAD) {quoting.literal_regex(listener.path)}\z") if asks else None,
        application=quoting.address(listener.application) if listener.application else None,
        multiplexed=protocol.multiplexed,
        module=http2.module(protocol),
        scheme=http2.scheme(protocol),
        connect_timeout=quoting.duration(
            inbound.connect_timeout if inbound else sidecar.outbound.idle_timeout
        ),
        idle_timeout=quoting.duration(inbound.idle_timeout if inbound else sidecar.outbound.idle_timeout),
    )
