"""What the language has and no target lowers yet: each written field asks for its feature at its place.

So nothing that a user writes is dropped in silence. A field that gets its lowering leaves this file.
"""

from __future__ import annotations

from collections.abc import Iterator

from meshctl import ir
from meshctl.resolve.layers import Layers, said
from meshctl.spec import Source, Spec
from meshctl.spec.service import ServiceSpec

_OF_SERVICES = (("path_policy", "pathPolicy", ir.Feature.PATH_POLICY),)
_MTLS = {"permissive": ir.Feature.MTLS_PERMISSIVE, "disabled": ir.Feature.MTLS_DISABLED}


def of_service(service: ServiceSpec, layers: Layers, source: Source) -> tuple[ir.FeatureUse, ...]:
    """What acts in the service's own sidecar."""
    return (*_asked(layers, _OF_SERVICES), *_several_ports(service, source))


def of_tls(spec: Spec) -> tuple[ir.FeatureUse, ...]:
    """Another mode of mutual TLS than the strict one."""
    written = spec.written.mesh.mtls
    feature = _MTLS.get(written.mode or "") if written is not None else None
    at = spec.source["mesh"].at("mtls", "mode")
    return (ir.FeatureUse(feature, at),) if feature is not None and at is not None else ()


def _asked(layers: Layers, fields: tuple[tuple[str, str, ir.Feature], ...]) -> Iterator[ir.FeatureUse]:
    for field, key, feature in fields:
        for _, at in said(layers, field, key):
            if at is not None:
                yield ir.FeatureUse(feature, at)
            break


def _several_ports(service: ServiceSpec, source: Source) -> Iterator[ir.FeatureUse]:
    at = source.at("ports") if len(service.ports or ()) > 1 else None
    if at is not None:
        yield ir.FeatureUse(ir.Feature.SEVERAL_PORTS, at)
