"""HTTP/2 on hops, with applications, and where callers speak it."""

from __future__ import annotations

from meshctl.targets.envoy.protobuf import Message

PROTOCOL = "h2"
"""In ALPN."""

OPTIONS = "http2_protocol_options"

_STREAMS = 100
_STREAM_WINDOW = 1 << 18


def offered() -> Message:
    """Field of a HttpConnectionManager where clients may choose it.

    Envoy's defaults let one client have 1,024 requests of 16 MiB each in memory.
    """
    options = {
        "max_concurrent_streams": _STREAMS,
        "initial_stream_window_size": _STREAM_WINDOW,
        "initial_connection_window_size": 1 << 20,
        "allow_connect": False,
    }
    return {OPTIONS: options}


def downstream() -> Message:
    """The same where one connection carries all requests of an application or a sidecar."""
    return {OPTIONS: _options()}


def upstream() -> Message:
    """Field of an ExplicitHttpConfig, for a callee or an application, with a question now and then whether it is still there.

    Requests that time out do not end a connection of HTTP/2, so a host that fell silent would keep all of them.
    """
    alive = {"interval": "30s", "timeout": "10s", "interval_jitter": {"value": 0}}
    return {OPTIONS: {**_options(), "connection_keepalive": alive}}


def _options() -> Message:
    return {
        "max_concurrent_streams": _STREAMS,
        "initial_stream_window_size": _STREAM_WINDOW,
        # Less, and a few requests that nobody reads would hold up all the others.
        "initial_connection_window_size": _STREAMS * _STREAM_WINDOW,
        "allow_connect": False,
        # One malformed message is one failed request.
        "override_stream_error_on_invalid_http_message": True,
    }
