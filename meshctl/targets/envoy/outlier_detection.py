"""Endpoints that are left alone for a while because they fail."""

from __future__ import annotations

from math import ceil

from meshctl.ir import Cluster, OutlierDetection
from meshctl.ir.mesh import HOP_STATUS
from meshctl.targets.envoy.protobuf import Message, duration


def outlier_detection(cluster: Cluster) -> Message:
    """Field of a Cluster. Connections that fail or break, and tries that take too long, count with the answers."""
    its = cluster.outlier_detection
    if its is None:
        return {}
    return {
        "outlier_detection": {
            "consecutive_5xx": its.consecutive_errors,
            "enforcing_consecutive_5xx": 100,
            "interval": duration(its.interval),
            "base_ejection_time": duration(its.ejection_time),
            # Envoy would double the time with every ejection.
            "max_ejection_time": duration(its.ejection_time),
            "max_ejection_time_jitter": "0s",
            "max_ejection_percent": _percent(its, cluster),
            "always_eject_one_host": False,
            "split_external_local_origin_errors": False,
            "successful_active_health_check_uneject_host": False,
            "enforcing_consecutive_gateway_failure": 0,
            "enforcing_success_rate": 0,
            "enforcing_failure_percentage": 0,
        }
    }


def _percent(its: OutlierDetection, cluster: Cluster) -> int:
    """The least whole percentage that lets as many out as may be.

    Of names nobody knows here how many endpoints they will have; under 100 % the only one is never out.
    """
    if cluster.dns is not None:
        return min(99, int(its.max_ejected * 100))
    endpoints = len(cluster.endpoints)
    return ceil(100 * its.limit(endpoints) / endpoints) if endpoints else 0


def errors(cluster: Cluster) -> Message:
    """Field of HttpProtocolOptions: the answers that are errors. An external's 425 is just a status."""
    if cluster.outlier_detection is None or cluster.origin is not None:
        return {}
    statuses = [_status({"start": 500, "end": 600}), _status({"start": HOP_STATUS, "end": HOP_STATUS + 1})]
    return {"outlier_detection": {"error_matcher": {"or_match": {"rules": statuses}}}}


def _status(within: Message) -> Message:
    return {"http_response_headers_match": {"headers": [{"name": ":status", "range_match": within}]}}
