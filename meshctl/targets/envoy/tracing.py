"""Spans, to a collector that speaks OTLP over gRPC."""

from __future__ import annotations

import json
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


_METADATA = "meshctl.tracing"
_HEADER = "traceparent"
_KEPT = "x-mesh-traceparent"

# One more alternative for everything else, or a value that does not match would stay as it is; `.` takes no byte
# that is not UTF-8.
_VALID = r"^(?:00-0+-.*|00-[0-9a-f]{32}-0+-.*|00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}|\C*)$"

_SENT = "upstream.request_attempt_count > 0u ? request.headers['traceparent'] : ''"
"""What the last try was sent with. CEL compiles its expression for every line, so that is a short one."""


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
        "early_header_mutation_extensions": [_only_valid()],
        "request_id_extension": {
            "typed_config": typed(
                "request_id.uuid.v3.UuidRequestIdConfig",
                pack_trace_reason=False,
                use_request_id_for_trace_sampling=False,
            )
        },
    }


def received() -> list[Message]:
    """Rules of a ``header_to_metadata`` that keep the trace and the parent that a request came with."""
    groups = (("trace_id", r"\1"), ("parent_id", r"\2"))
    return [to_metadata(_HEADER, _METADATA, key, rewritten(_VALID, group)) for key, group in groups]


def to_metadata(header: str, namespace: str, key: str, value: Message) -> Message:
    """``header_to_metadata.v3.Config.Rule``: what is kept of a header, where there is one."""
    kept = {"metadata_namespace": namespace, "key": key, "type": "STRING", **value}
    return {"header": header, "on_header_present": kept}


def rewritten(regex: str, substitution: str) -> Message:
    """The value of a header with all that the expression matches replaced."""
    return {"regex_value_rewrite": {"pattern": {"regex": regex}, "substitution": substitution}}


def logged(sidecar: Sidecar, direction: Direction) -> Message:
    """Fields of a line of the access log. Without a tracer there is no span of this sidecar's own."""
    trace, parent = (f"%DYNAMIC_METADATA({_METADATA}:{key})%" for key in ("trace_id", "parent_id"))
    if sidecar.tracing is None:
        return {"trace_id": trace, "span_id": "", "parent_id": parent}
    span = "%SPAN_ID%" if direction is Direction.INBOUND else f"%COALESCE({json.dumps(_SPANS_OUT)})%"
    return {"trace_id": "%TRACE_ID%", "span_id": span, "parent_id": parent}


_SPANS_OUT: Message = {
    "operators": [
        {"command": "CEL", "param": f"re.extract({_SENT}, '-([0-f]+)-0.$', '\\\\1')"},
        {"command": "SPAN_ID"},
    ]
}
"""The last try's span, whose child the callee's is; the request's own where no try was made."""


def _only_valid() -> Message:
    """An early mutation that takes a ``traceparent`` away which is none: Envoy's tracer would make no span at all then.

    It would also take one of another version or in capitals, and the first of two.
    """
    header = f"request.headers['{_HEADER}']"
    # In pieces, for CEL bounds the size of an expression; these are compiled once.
    form = [f"{header}.matches('{each}')" for each in ("^00-[0-f]{32}-[0-f]{16}-[0-f]{2}$", "^[0-9a-f-]+$")]
    valid = f"{' && '.join(form)} && !{header}.matches('^00-0+-|-0+-..$')"
    mutations = [
        {"remove": _KEPT},
        _put(_KEPT, f"%CEL({valid} ? {header} : '')%"),
        {"remove": _HEADER},
        _put(_HEADER, f"%REQ({_KEPT})%"),
        {"remove": _KEPT},
    ]
    config = typed("http.early_header_mutation.header_mutation.v3.HeaderMutation", mutations=mutations)
    return {"name": "only-valid-traces", "typed_config": config}


def _put(header: str, value: str) -> Message:
    appended = {"header": {"key": header, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    return {"append": appended}


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
