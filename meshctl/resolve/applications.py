"""What a service's application speaks with its sidecar, and on which port."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding
from meshctl.spec import Source
from meshctl.spec.service import ServiceSpec

FEATURES = {
    ir.Protocol.HTTP2: ir.Feature.HTTP2,
    ir.Protocol.GRPC: ir.Feature.GRPC,
    ir.Protocol.TCP: ir.Feature.TCP,
}


def protocol(service: ServiceSpec) -> ir.Protocol:
    """What the application speaks; HTTP/1.1 where the spec is silent."""
    return ir.Protocol(service.protocol or next(iter(service.ports or {}), ir.Protocol.HTTP))


def port(service: ServiceSpec) -> int | None:
    """Where the application listens; the first of several `ports`."""
    return service.port or next(iter((service.ports or {}).values()), None)


def asks(service: ServiceSpec, source: Source) -> Iterator[ir.FeatureUse]:
    """What the sidecar in front of this application must be able to do."""
    feature = FEATURES.get(protocol(service))
    at = source.at("ports" if service.ports else "protocol") if feature is not None else None
    if feature is not None and at is not None:
        yield ir.FeatureUse(feature, at)


def check(name: str, service: ServiceSpec, source: Source) -> Iterator[Finding]:
    """Ports that say two things, or are missing."""
    if service.ports and (service.port or service.protocol):
        yield finding(
            "ambiguous-port",
            source.at("ports"),
            f"`{name}` has `ports`, and `{'port' if service.port else 'protocol'}` beside them",
        )
    for key, instances in (("endpoints", service.endpoints), ("discovery", service.discovery)):
        if instances and port(service) is None:
            message = f"`{name}` has {key}, but no `port` where its application listens"
            yield finding("missing-key", source.at(key), message)
