"""Clusters and where their endpoints are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction
from functools import lru_cache
from math import gcd

import orjson
from msgspec import Struct

from meshctl.ir import Cluster, Endpoint, InboundListener, MtlsMode, Protocol, SocketAddress, TlsContext
from meshctl.targets.envoy import (
    circuit_breaking,
    egress,
    filters,
    health_checks,
    hop_status,
    http2,
    load_balancing,
    mirroring,
    mtls,
    outlier_detection,
    timeouts,
)
from meshctl.targets.envoy.protobuf import Message, duration, line, socket_address, typed

APPLICATION = "sidecar:application"
"""Names with a colon are never a service's."""

APPLICATION_OF_ONE = "sidecar:application-of-one"
"""The same where the connection says, see :func:`mtls.leads_one_to`; nobody gets there whose connection says nothing."""


_CODEC = {
    "name": "envoy.filters.http.upstream_codec",
    "typed_config": typed("filters.http.upstream_codec.v3.UpstreamCodec"),
}


class Surroundings(Struct, frozen=True):
    """What a cluster needs to know of its sidecar. Hashable: many sidecars have the same clusters."""

    tls: TlsContext
    resolvers: tuple[SocketAddress, ...] = ()
    following: tuple[Cluster, ...] = ()
    """The clusters whose endpoints are the hosts that requests name."""
    budget: Fraction | None = None
    changes_responses: bool = False
    """Whether any route to this cluster does."""
    gets_copies: bool = False
    longest_try: timedelta | None = None
    """Envoy's timer of a try begins when it has its connection, so this bounds connecting too. None: nothing does."""


@lru_cache(maxsize=4096)
def outbound_cluster(cluster: Cluster, around: Surroundings) -> orjson.Fragment:
    """A callee as this sidecar reaches it: HTTP/1.1, HTTP/2 or a stream, over mutual TLS but for externals."""
    http, multiplexed = cluster.protocol is not Protocol.TCP, cluster.protocol.multiplexed
    message = {
        "name": cluster.name,
        **({} if cluster.dns else {"type": "STATIC"}),
        "connect_timeout": duration(min(cluster.connect_timeout, around.longest_try or timedelta.max)),
        **load_balancing.load_balancing(cluster),
        "circuit_breakers": circuit_breaking.circuit_breakers(
            cluster.circuit_breaker, around.budget, multiplexed=multiplexed
        )
        if http
        else circuit_breaking.connection_limit(cluster.circuit_breaker),
        **outlier_detection.outlier_detection(cluster),
        **health_checks.health_checks(cluster),
        **_endpoints(cluster, around),
        **_transport_socket(cluster, around.tls),
    }
    if http:
        message["typed_extension_protocol_options"] = http_protocol(
            cluster.idle_timeout,
            _http_filters(cluster, around),
            multiplexed=multiplexed,
            **egress.name_from_the_request(cluster),
            **load_balancing.hash_policy(cluster),
            **outlier_detection.errors(cluster),
        )
    return line(message)


def _endpoints(cluster: Cluster, around: Surroundings) -> Message:
    if cluster.dns is None:
        return {"load_assignment": load_assignment(cluster.name, cluster.endpoints)}
    if egress.follows_the_request(cluster):
        return egress.followed(around.following, around.resolvers)
    return egress.looked_up(cluster.dns, cluster.name, around.resolvers)


def _transport_socket(cluster: Cluster, tls: TlsContext) -> Message:
    if cluster.plaintext:
        return {}
    if cluster.origin is None:
        return {"transport_socket": mtls.upstream(cluster.workload, tls, _alpn(cluster))}
    return (
        {"transport_socket": egress.upstream_tls(cluster.origin.tls, _alpn(cluster))}
        if cluster.origin.tls
        else {}
    )


def _alpn(cluster: Cluster) -> tuple[str, ...]:
    return (http2.PROTOCOL,) if cluster.protocol.multiplexed else ()


def _http_filters(cluster: Cluster, around: Surroundings) -> list[Message]:
    """Filters that only the answers of the other side pass."""
    hop = cluster.origin is None
    changes = [filters.response_filter(hop=hop)] if around.changes_responses else []
    if around.gets_copies:
        changes.append(mirroring.copy_filter())
    return changes if hop else [*changes, *hop_status.carry_over()]


def application_clusters(inbound: InboundListener) -> Iterator[Message]:
    """The application behind the inbound listener; that of streams once more for those who show a certificate."""
    streams = inbound.protocol is Protocol.TCP
    if not streams or inbound.mtls is not MtlsMode.STRICT:
        yield _application(inbound)
    if streams and inbound.mtls is not MtlsMode.DISABLED:
        yield {
            "name": APPLICATION_OF_ONE,
            "type": "ORIGINAL_DST",
            "connect_timeout": duration(inbound.connect_timeout),
            "lb_policy": "CLUSTER_PROVIDED",
            # Of the address that nobody goes to any more.
            "cleanup_interval": "5s",
            "circuit_breakers": circuit_breaking.no_limits(),
        }


def _application(inbound: InboundListener) -> Message:
    """In plain HTTP/1.1 or h2c, or as a bare stream."""
    message: Message = {
        "name": APPLICATION,
        "type": "STATIC",
        "connect_timeout": duration(inbound.connect_timeout),
        "lb_policy": "ROUND_ROBIN",
        "circuit_breakers": circuit_breaking.no_limits(),
        "load_assignment": load_assignment(APPLICATION, (Endpoint(inbound.application, 1),)),
    }
    if inbound.protocol is not Protocol.TCP:
        message["typed_extension_protocol_options"] = http_protocol(
            inbound.idle_timeout, hop_status.carry_over(), multiplexed=inbound.protocol.multiplexed
        )
    return message


def load_assignment(name: str, endpoints: tuple[Endpoint, ...]) -> Message:
    """``envoy.config.endpoint.v3.ClusterLoadAssignment``; empty: the answer is 503."""
    divisor = gcd(*(each.weight for each in endpoints)) or 1
    levels: dict[int, list[Message]] = {}
    for each in endpoints:
        levels.setdefault(each.priority, []).append(
            {
                "endpoint": {"address": socket_address(each.socket)},
                "load_balancing_weight": each.weight // divisor,
            }
        )
    message: Message = {
        "cluster_name": name,
        "endpoints": [
            {**({"priority": level} if level else {}), "lb_endpoints": levels[level]}
            for level in sorted(levels)
        ],
    }
    if len(levels) > 1:
        message["policy"] = {"overprovisioning_factor": _OVERPROVISIONING}
    return message


_OVERPROVISIONING = 140
"""A level keeps all its requests for as long as 100/140 of its endpoints are healthy, and then a share of them."""


def http_protocol(
    idle: timedelta, http_filters: list[Message], *, multiplexed: bool = False, **more: Message
) -> Message:
    """HTTP/1.1 upstream, or HTTP/2, whatever the request came in by."""
    spoken = http2.upstream() if multiplexed else {"http_protocol_options": {}}
    options = typed(
        "upstreams.http.v3.HttpProtocolOptions",
        common_http_protocol_options=timeouts.upstream_connection(idle),
        explicit_http_config=spoken,
        **more,
    )
    if http_filters:
        options["http_filters"] = [*http_filters, _CODEC]
    return {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options}
