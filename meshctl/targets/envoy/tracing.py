"""Spans, to a collector that speaks OTLP over gRPC."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from meshctl.ir import Sidecar, Tracing
from meshctl.targets.envoy import circuit_breaking, http2
from meshctl.targets.envoy.protobuf import Message, duration, fraction, socket_address, typed

CLUSTER = "sidecar:otlp"

_KEPT_SPANS = 1024
"""Spans that wait to be sent, in each worker; those that find no room are lost."""

_PATIENCE = timedelta(seconds=10)

RUNTIME: Message = {
    # Envoy knows these two by runtime alone; its own flush is every five seconds.
    "tracing.opentelemetry.flush_interval_ms": 1000,
    "tracing.opentelemetry.min_flush_spans": 5,
}


class Direction(StrEnum):
    """The side of the sidecar that a listener is on."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


def tracer(sidecar: Sidecar, direction: Direction, path: str) -> Message:
    """Fields of a HttpConnectionManager; ``path`` is the command for the path of a request without its query.

    Its own sampling lets every request through, for the sampler asks the caller's decision first; and nothing
    that a client sends forces a trace, nor is its x-request-id changed.
    """
    if sidecar.tracing is None:
        return {}
    whole = {"value": 100}
    return {
        "tracing": {
            "client_sampling": {"value": 0},
            "random_sampling": whole,
            "overall_sampling": whole,
            "verbose": False,
            # The URL of a span would hold the query.
            "max_path_tag_length": 0,
            "custom_tags": _tags(path),
            "provider": {
                "name": "envoy.tracers.opentelemetry",
                "typed_config": _exporter(sidecar, sidecar.tracing),
            },
            "spawn_upstream_span": direction is Direction.OUTBOUND,
            "operation": direction.value,
            "upstream_operation": "try %UPSTREAM_CLUSTER%",
            "no_context_propagation": False,
        },
        "request_id_extension": {
            "typed_config": typed(
                "request_id.uuid.v3.UuidRequestIdConfig",
                pack_trace_reason=False,
                use_request_id_for_trace_sampling=False,
            )
        },
    }


def cluster(tracing: Tracing) -> Message:
    """The way to the collector: HTTP/2 by prior knowledge."""
    endpoint = {"endpoint": {"address": socket_address(tracing.collector)}}
    return {
        "name": CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "lb_policy": "ROUND_ROBIN",
        "circuit_breakers": circuit_breaking.no_limits(),
        "load_assignment": {"cluster_name": CLUSTER, "endpoints": [{"lb_endpoints": [endpoint]}]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(
                "upstreams.http.v3.HttpProtocolOptions", explicit_http_config=http2.upstream()
            )
        },
    }


def _tags(path: str) -> list[Message]:
    return [{"tag": "url.path", "value": path}, {"tag": "meshctl.route", "value": "%ROUTE_NAME%"}]


def _exporter(sidecar: Sidecar, tracing: Tracing) -> Message:
    """``envoy.config.trace.v3.OpenTelemetryConfig``."""
    share = typed(
        "tracers.opentelemetry.samplers.v3.TraceIdRatioBasedSamplerConfig",
        sampling_percentage=fraction(tracing.sampling),
    )
    sampler = typed(
        "tracers.opentelemetry.samplers.v3.ParentBasedSamplerConfig",
        wrapped_sampler={
            "name": "envoy.tracers.opentelemetry.samplers.trace_id_ratio_based",
            "typed_config": share,
        },
    )
    resource = typed(
        "tracers.opentelemetry.resource_detectors.v3.StaticConfigResourceDetectorConfig",
        attributes={
            "service.namespace": sidecar.mesh,
            **({"service.instance.id": sidecar.instance} if sidecar.instance else {}),
        },
    )
    return typed(
        "config.trace.v3.OpenTelemetryConfig",
        grpc_service={"envoy_grpc": {"cluster_name": CLUSTER}, "timeout": duration(_PATIENCE)},
        service_name=sidecar.service,
        resource_detectors=[
            {
                "name": "envoy.tracers.opentelemetry.resource_detectors.static_config",
                "typed_config": resource,
            }
        ],
        sampler={"name": "envoy.tracers.opentelemetry.samplers.parent_based", "typed_config": sampler},
        max_cache_size=_KEPT_SPANS,
    )
