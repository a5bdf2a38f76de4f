"""What the language has and no target lowers yet: each written field asks for its feature at its place.

So nothing that a user writes is dropped in silence. A field that gets its lowering leaves this file.
"""

from __future__ import annotations

from collections.abc import Iterator

from meshctl import ir
from meshctl.resolve import load_balancing
from meshctl.resolve.layers import Layers, said
from meshctl.spec import Source, Spec
from meshctl.spec.routing import RouteSpec
from meshctl.spec.service import ServiceSpec

_OF_CLUSTERS = (
    ("locality", "locality", ir.Feature.LOCALITY),
    ("outlier_detection", "outlierDetection", ir.Feature.OUTLIER_DETECTION),
    ("health_check", "healthCheck", ir.Feature.HEALTH_CHECKS),
)
_OF_SERVICES = (
    ("rate_limit", "rateLimit", ir.Feature.RATE_LIMITING),
    ("path_policy", "pathPolicy", ir.Feature.PATH_POLICY),
)
_PROTOCOLS = {"http2": ir.Feature.HTTP2, "grpc": ir.Feature.GRPC}
_MTLS = {"permissive": ir.Feature.MTLS_PERMISSIVE, "disabled": ir.Feature.MTLS_DISABLED}


def of_cluster(layers: Layers) -> tuple[ir.FeatureUse, ...]:
    """What acts in the caller's sidecar, for one callee."""
    return (*load_balancing.asked(layers), *_asked(layers, _OF_CLUSTERS))


def of_discovery(service: ServiceSpec, source: Source) -> Iterator[ir.FeatureUse]:
    """Endpoints that must be looked up."""
    if service.discovery is None:
        return
    at = source.at("discovery")
    if at is not None:
        yield ir.FeatureUse(ir.Feature.DNS_DISCOVERY, at)


def of_service(service: ServiceSpec, layers: Layers, source: Source) -> tuple[ir.FeatureUse, ...]:
    """What acts in the service's own sidecar."""
    return (*_asked(layers, _OF_SERVICES), *_of_protocol(service, source))


def of_route(route: RouteSpec, source: Source) -> Iterator[ir.FeatureUse]:
    """What a route does beside its request."""
    fault = route.fault
    for written, path, feature in (
        (route.mirror, ("mirror",), ir.Feature.MIRRORING),
        (fault and fault.delay, ("fault", "delay"), ir.Feature.FAULT_DELAY),
        (fault and fault.abort, ("fault", "abort"), ir.Feature.FAULT_ABORT),
    ):
        at = source.at(*path) if written is not None else None
        if at is not None:
            yield ir.FeatureUse(feature, at)


def of_tls(spec: Spec) -> tuple[ir.FeatureUse, ...]:
    """Another mode of mutual TLS than the strict one."""
    written = spec.written.mesh.mtls
    feature = _MTLS.get(written.mode or "") if written is not None else None
    at = spec.source["mesh"].at("mtls", "mode")
    return (ir.FeatureUse(feature, at),) if feature is not None and at is not None else ()


def of_mesh(spec: Spec) -> tuple[ir.FeatureUse, ...]:
    """What all sidecars do alike."""
    section, source = spec.written.mesh, spec.source["mesh"]
    written = (
        (section.tracing, source.at("tracing"), ir.Feature.TRACING),
        (section.jwt, source.at("jwt"), ir.Feature.JWT),
    )
    return tuple(ir.FeatureUse(feature, at) for value, at, feature in written if value and at is not None)


def _asked(layers: Layers, fields: tuple[tuple[str, str, ir.Feature], ...]) -> Iterator[ir.FeatureUse]:
    for field, key, feature in fields:
        for _, at in said(layers, field, key):
            if at is not None:
                yield ir.FeatureUse(feature, at)
            break


def _of_protocol(service: ServiceSpec, source: Source) -> Iterator[ir.FeatureUse]:
    written: dict[str, tuple[str, ...]] = {service.protocol: ("protocol",)} if service.protocol else {}
    written |= {each: ("ports", each) for each in service.ports or ()}
    for protocol, path in written.items():
        feature, at = _PROTOCOLS.get(protocol), source.at(*path)
        if feature is not None and at is not None:
            yield ir.FeatureUse(feature, at)
    at = source.at("ports") if len(service.ports or ()) > 1 else None
    if at is not None:
        yield ir.FeatureUse(ir.Feature.SEVERAL_PORTS, at)
