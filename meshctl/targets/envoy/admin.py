"""Readiness and the build id; and Envoy's own admin interface, which nobody else may reach."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta

from meshctl.ir import Sidecar
from meshctl.targets.envoy.protobuf import Message

CLUSTER = "sidecar:admin"

IDLE = timedelta(minutes=5)
"""Nobody's to choose: the admin listener is the one that only a start can change."""

_SOCKET = "../run/admin.sock"
IS_GET: Message = {"name": ":method", "string_match": {"exact": "GET"}}
_GET: Message = {"headers": [IS_GET]}


def interface() -> Message:
    """``envoy.config.bootstrap.v3.Admin``: a socket file for the owner only; the mode is decimal."""
    return {"address": {"pipe": {"path": _SOCKET, "mode": 0o600}}}


def cluster() -> Message:
    """The way from the admin listener to Envoy's own interface."""
    endpoint = {"endpoint": {"address": {"pipe": {"path": _SOCKET}}}}
    return {
        "name": CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "lb_policy": "ROUND_ROBIN",
        "load_assignment": {"cluster_name": CLUSTER, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def readiness() -> Message:
    """The route of ``GET /ready``."""
    return {
        "name": "ready",
        "match": {"path": "/ready", **_GET},
        "route": {"cluster": CLUSTER, "timeout": "1s"},
    }


def route_configuration(sidecar: Sidecar, others: Iterable[Message]) -> Message:
    """``GET /ready``, ``GET /build`` and the routes of ``others``, and 404 for everything else."""
    return {
        "name": "admin",
        "validate_clusters": True,
        "virtual_hosts": [
            {
                "name": "admin",
                "domains": ["*"],
                "routes": [
                    readiness(),
                    *others,
                    {
                        "name": "build",
                        "match": {"path": "/build", **_GET},
                        "direct_response": {"status": 200, "body": {"inline_string": _build(sidecar)}},
                        "response_headers_to_add": [
                            {
                                "header": {"key": "content-type", "value": "application/json"},
                                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                            }
                        ],
                    },
                ],
            }
        ],
    }


def _build(sidecar: Sidecar) -> str:
    told = {
        "mesh": sidecar.mesh,
        "service": sidecar.service,
        "instance": sidecar.instance,
        "proxy": sidecar.proxy.value,
        "build": sidecar.build,
    }
    return json.dumps(told, separators=(",", ":")) + "\n"
