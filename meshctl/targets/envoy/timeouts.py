"""How long a request and an idle connection may last."""

from __future__ import annotations

from datetime import timedelta

from meshctl.ir import Route
from meshctl.targets.envoy.protobuf import Message, duration

CONNECTION_LIFE = timedelta(minutes=10)
"""A caller opens a new connection after this long, so that a rotated or withdrawn certificate counts."""

CALLEE_PATIENCE = timedelta(seconds=30)
"""How much longer a callee keeps a connection than its callers do, so that it never closes one that a
caller is about to use: that request would be lost."""

REQUEST_HEADERS = timedelta(seconds=10)
"""For a request head to arrive whole. Envoy's default is no limit at all."""

MAX_HEADERS = 256
"""In a request or response; over it 431, or 502. Envoy's default is 100."""


def route_timeouts(route: Route, idle: timedelta) -> Message:
    """Fields of a RouteAction. Envoy's clock starts with the last byte of the request and covers all tries.

    The idle timer never fires before a timeout that is longer than it.
    """
    return {
        "timeout": duration(route.timeout.duration),
        "idle_timeout": duration(max(idle, route.timeout.duration)),
    }


def upstream_connection(idle: timedelta) -> Message:
    """HttpProtocolOptions of a cluster."""
    return {
        "idle_timeout": duration(idle),
        "max_connection_duration": duration(CONNECTION_LIFE),
        "max_headers_count": MAX_HEADERS,
        "max_requests_per_connection": 0,
    }


def downstream_connection(idle: timedelta) -> Message:
    """HttpProtocolOptions of a listener."""
    return {
        "idle_timeout": duration(idle + CALLEE_PATIENCE),
        "max_connection_duration": duration(CONNECTION_LIFE + CALLEE_PATIENCE),
        "max_headers_count": MAX_HEADERS,
        "max_requests_per_connection": 0,
        "headers_with_underscores_action": "ALLOW",
    }
