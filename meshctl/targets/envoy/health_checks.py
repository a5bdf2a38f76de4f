"""Endpoints that are asked how they are."""

from __future__ import annotations

from typing import assert_never

from meshctl.ir import Cluster, HealthCheck, HealthCheckKind
from meshctl.targets.envoy.protobuf import Message, duration

_GOOD = {"start": 200, "end": 300}
_BAD = [{"start": 100, "end": 200}, {"start": 300, "end": 600}]
"""Envoy would take an endpoint out at the first answer that is neither."""


def health_checks(cluster: Cluster) -> Message:
    """Fields of a Cluster. Each check takes the way of a request, certificates included."""
    its = cluster.health_check
    if its is None:
        return {}
    interval = duration(its.interval)
    check = {
        "timeout": duration(its.timeout),
        "interval": interval,
        "initial_jitter": "0s",
        "interval_jitter": "0s",
        "interval_jitter_percent": 0,
        "unhealthy_threshold": its.unhealthy_threshold,
        "healthy_threshold": its.healthy_threshold,
        "reuse_connection": True,
        # Asked once a minute by default, as long as there are no requests.
        "no_traffic_interval": interval,
        "no_traffic_healthy_interval": interval,
        "unhealthy_interval": interval,
        "unhealthy_edge_interval": interval,
        "healthy_edge_interval": interval,
        **_question(its, cluster),
    }
    # By default an endpoint that a name has lost stays for as long as it is healthy.
    return {"health_checks": [check], "ignore_health_on_host_removal": True}


def _question(its: HealthCheck, cluster: Cluster) -> Message:
    match its.kind:
        case HealthCheckKind.HTTP:
            codec = "HTTP2" if cluster.protocol.multiplexed else "HTTP1"
            request = {
                "host": its.host,
                "path": its.path,
                "method": "GET",
                "codec_client_type": codec,
                "expected_statuses": [_GOOD],
                "retriable_statuses": _BAD,
            }
            return {"http_health_check": request}
        case HealthCheckKind.GRPC:
            return {"grpc_health_check": {"authority": its.host}}
        case HealthCheckKind.TCP:
            return {"tcp_health_check": {}}
        case other:
            assert_never(other)
