"""The access log."""

from __future__ import annotations

import json
from typing import Literal

from meshctl.ir import Sidecar
from meshctl.targets.envoy import authorization
from meshctl.targets.envoy.protobuf import Message, format_literal, typed

FLUSH_MILLISECONDS = 500
"""How long a line may wait in Envoy's buffer; its default is ten seconds."""

_SERVICE_OF_PEER = "re.extract(connection.uri_san_peer_certificate, '^spiffe://[^/]*/(.*)$', '\\\\1')"
"""CEL for what follows the trust domain, which the handshake has already compared."""

_CALLER_COMMANDS = (
    {"command": "DYNAMIC_METADATA", "param": ":".join(authorization.CALLER)},
    # CEL costs tens of microseconds, and only refused callers need it.
    {"command": "CEL", "param": _SERVICE_OF_PEER},
)
_CALLER = f"%COALESCE({json.dumps({'operators': _CALLER_COMMANDS})})%"


def access_logs(sidecar: Sidecar, direction: Literal["inbound", "outbound"]) -> list[Message]:
    """``envoy.config.accesslog.v3.AccessLog`` of one listener. Envoy sorts the keys itself."""
    if not sidecar.access_log.enabled:
        return []
    log_format = {"json_format": _fields(sidecar, direction), "omit_empty_values": True}
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
        "caller": own if direction == "outbound" else _or_empty(_CALLER),
        "method": _or_empty("%REQ(:METHOD)%"),
        "host": _or_empty("%REQ(:AUTHORITY)%"),
        "path": _or_empty("%PATH(NQ)%"),
        "route": _or_empty("%ROUTE_NAME%"),
        "status": "%RESPONSE_CODE%",
        "duration_ms": "%DURATION%",
        "bytes_in": "%BYTES_RECEIVED%",
        "bytes_out": "%BYTES_SENT%",
        "upstream": _or_empty("%UPSTREAM_REMOTE_ADDRESS%"),
        "tries": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "flags": "%RESPONSE_FLAGS%",
        "audit": "",
        "build": format_literal(sidecar.build),
    }


def _or_empty(command: str) -> str:
    """A missing value as an empty string, where a command alone would have its key left out.

    No client can send a header whose name begins with a colon.
    """
    return f"{command}%REQ(:NONE)%"
