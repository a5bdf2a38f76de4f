"""The access log."""

from __future__ import annotations

from typing import Literal

from meshctl.ir import Sidecar
from meshctl.targets.envoy.protobuf import Message, format_literal, typed

FLUSH_MILLISECONDS = 500
"""How long a line may wait in Envoy's buffer; its default is ten seconds."""


def access_logs(sidecar: Sidecar, direction: Literal["inbound", "outbound"]) -> list[Message]:
    """``envoy.config.accesslog.v3.AccessLog`` of one listener. Envoy sorts the keys itself."""
    if not sidecar.access_log.enabled:
        return []
    log_format = {"json_format": _fields(sidecar, direction)}
    return [
        {
            "name": "access-log",
            "typed_config": typed("access_loggers.stream.v3.StdoutAccessLog", log_format=log_format),
        }
    ]


def _fields(sidecar: Sidecar, direction: Literal["inbound", "outbound"]) -> Message:
    own = format_literal(sidecar.service)
    return {
        "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
        "mesh": format_literal(sidecar.mesh),
        "service": own,
        "direction": direction,
        "caller": own if direction == "outbound" else "%DOWNSTREAM_PEER_URI_SAN%",
        "method": "%REQ(:METHOD)%",
        "host": "%REQ(:AUTHORITY)%",
        "path": "%PATH(NQ)%",
        "route": "%ROUTE_NAME%",
        "status": "%RESPONSE_CODE%",
        "duration_ms": "%DURATION%",
        "bytes_in": "%BYTES_RECEIVED%",
        "bytes_out": "%BYTES_SENT%",
        "upstream": "%UPSTREAM_REMOTE_ADDRESS%",
        "tries": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "flags": "%RESPONSE_FLAGS%",
        "build": format_literal(sidecar.build),
    }
