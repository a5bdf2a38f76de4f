"""The health listener: for load balancers and kubelets, off loopback and read only."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from meshctl.ir import HealthListener
from meshctl.ir.mesh import STATUS_HEADER
from meshctl.targets.envoy import admin, discovery, forwarded_proto
from meshctl.targets.envoy.protobuf import Message, duration

_READ = [{"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}]


def route_configuration(health: HealthListener, idle: timedelta, others: Iterable[Message]) -> Message:
    """The application's health path first, then readiness and ``others``, and 404 for everything else."""
    routes = [admin.readiness(), *others]
    if health.path and health.application is not None:
        asked = {
            "cluster": discovery.APPLICATION,
            "timeout": "0s",
            "idle_timeout": duration(idle),
        }
        match = {"path": health.path, "case_sensitive": True, "headers": _READ}
        routes.insert(0, {"name": "health", "match": match, "route": asked})
    return {
        "name": "health",
        "validate_clusters": True,
        **forwarded_proto.forget(STATUS_HEADER),
        "virtual_hosts": [
            {"name": "health", "domains": ["*"], **forwarded_proto.restore(), "routes": routes}
        ],
    }
