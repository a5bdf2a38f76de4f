"""Clusters and where their endpoints are."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from math import gcd

import orjson

from meshctl.ir import Cluster, Endpoint, InboundListener, TlsContext
from meshctl.targets.envoy import circuit_breaking, load_balancing, mtls, timeouts
from meshctl.targets.envoy.protobuf import Message, duration, line, socket_address, typed

APPLICATION = "sidecar:application"
"""Names with a colon are never a service's."""


@lru_cache(maxsize=4096)
def outbound_cluster(cluster: Cluster, tls: TlsContext) -> orjson.Fragment:
    """A callee as this sidecar reaches it: HTTP/1.1 over mutual TLS. Many callers have the same."""
    message = {
        "name": cluster.name,
        "type": "STATIC",
        "connect_timeout": duration(cluster.connect_timeout),
        **load_balancing.load_balancing(cluster.load_balancing),
        "circuit_breakers": circuit_breaking.circuit_breakers(cluster.circuit_breaker),
        "load_assignment": load_assignment(cluster.name, cluster.endpoints),
        "transport_socket": mtls.upstream(cluster.workload, tls),
        "typed_extension_protocol_options": http_protocol(cluster.idle_timeout),
    }
    return line(message)


def application_cluster(inbound: InboundListener, http_filters: list[Message]) -> Message:
    """The application behind the inbound listener, in plain HTTP/1.1."""
    return {
        "name": APPLICATION,
        "type": "STATIC",
        "connect_timeout": duration(inbound.connect_timeout),
        "lb_policy": "ROUND_ROBIN",
        "circuit_breakers": circuit_breaking.no_limits(),
        "load_assignment": load_assignment(APPLICATION, (Endpoint(inbound.application, 1),)),
        "typed_extension_protocol_options": http_protocol(inbound.idle_timeout, http_filters),
    }


def load_assignment(name: str, endpoints: tuple[Endpoint, ...]) -> Message:
    """``envoy.config.endpoint.v3.ClusterLoadAssignment``; empty: the answer is 503."""
    divisor = gcd(*(each.weight for each in endpoints)) or 1
    return {
        "cluster_name": name,
        "endpoints": [
            {
                "lb_endpoints": [
                    {
                        "endpoint": {"address": socket_address(each.socket)},
                        "load_balancing_weight": each.weight // divisor,
                    }
                    for each in endpoints
                ]
            }
        ]
        if endpoints
        else [],
    }


def http_protocol(idle: timedelta, http_filters: list[Message] | None = None) -> Message:
    """HTTP/1.1 upstream, whatever the request came in by."""
    options = typed(
        "upstreams.http.v3.HttpProtocolOptions",
        common_http_protocol_options=timeouts.upstream_connection(idle),
        explicit_http_config={"http_protocol_options": {}},
    )
    if http_filters:
        options["http_filters"] = http_filters
    return {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options}
