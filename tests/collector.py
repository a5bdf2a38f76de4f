"""An OTLP collector: what sidecars tell it about requests, as the format's own messages."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message

_METHOD = "opentelemetry.proto.collector.trace.v1.TraceService"


@dataclass(frozen=True)
class Span:
    """One span, its ids in hex, its kind and its times in the format's own words."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    error: bool
    attributes: dict[str, Any]
    resource: dict[str, Any]


@dataclass
class Collector:
    """What has come so far."""

    spans: list[Span] = field(default_factory=list)

    def of(self, trace: str, number: int, seconds: float = 15) -> list[Span]:
        """The spans of a trace, as soon as there are ``number``; Envoy sends them every five seconds."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = [each for each in self.spans if each.trace == trace]
            if len(found) >= number:
                return found
            time.sleep(0.05)
        return [each for each in self.spans if each.trace == trace]

    def export(self, request: Any, _context: object) -> Any:
        """The one call of the protocol."""
        for resource in request.resource_spans:
            facts = _plain(resource.resource.attributes)
            for scope in resource.scope_spans:
                self.spans += [_span(each, facts) for each in scope.spans]
        return service.ExportTraceServiceResponse()


def _plain(attributes: Any) -> dict[str, Any]:
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value") or "string_value") for each in attributes
    }


def _span(message: Any, resource: dict[str, Any]) -> Span:
    return Span(
        service=resource["service.name"],
        name=message.name,
        kind=Message.SpanKind.Name(message.kind).removeprefix("SPAN_KIND_"),
        trace=message.trace_id.hex(),
        id=message.span_id.hex(),
        parent=message.parent_span_id.hex(),
        error=message.status.code == 2,
        attributes=_plain(message.attributes),
        resource=resource,
    )


@contextlib.contextmanager
def collecting(address: str) -> Iterator[Collector]:
    """A collector at ``address:port``, in plain HTTP/2."""
    collector = Collector()
    handler = grpc.unary_unary_rpc_method_handler(
        collector.export,
        request_deserializer=service.ExportTraceServiceRequest.FromString,
        response_serializer=service.ExportTraceServiceResponse.SerializeToString,
    )
    server = grpc.server(
        ThreadPoolExecutor(2), handlers=[grpc.method_handlers_generic_handler(_METHOD, {"Export": handler})]
    )
    assert server.add_insecure_port(address)
    server.start()
    try:
        yield collector
    finally:
        server.stop(0).wait()
