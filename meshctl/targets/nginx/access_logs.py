"""The one access-log schema as log formats. The maps behind the variables are in the template."""

from __future__ import annotations

from meshctl import ir
from meshctl.ir.access_logs import ACCESS_LOG_FIELDS
from meshctl.targets.nginx import quoting
from meshctl.targets.nginx.model import LogFormats
from meshctl.targets.nginx.quoting import Token


def log_formats(sidecar: ir.Sidecar) -> LogFormats | None:
    """The lines of both directions; None when the log is off."""
    if not sidecar.access_log.enabled:
        return None
    own_name = quoting.log_text(sidecar.service)
    return LogFormats(
        inbound=_line(sidecar, "inbound", quoting.log_variable("peer")),
        outbound=_line(sidecar, "outbound", own_name),
    )


def _line(sidecar: ir.Sidecar, direction: str, caller: str) -> Token:
    audited = direction == "inbound" and sidecar.inbound is not None and sidecar.inbound.authorization.audit
    values = {
        "time": quoting.log_variable("log_time"),
        "mesh": quoting.log_text(sidecar.mesh),
        "service": quoting.log_text(sidecar.service),
        "direction": quoting.log_text(direction),
        "caller": caller,
        "method": quoting.log_variable("request_method"),
        "host": quoting.log_variable("log_host"),
        "path": quoting.log_variable("log_path"),
        "route": quoting.log_variable("route_name") if direction == "outbound" else quoting.log_text(""),
        "status": quoting.log_number("log_status"),
        "duration_ms": quoting.log_number("log_duration"),
        "bytes_in": quoting.log_number("log_bytes_in"),
        "bytes_out": quoting.log_number("body_bytes_sent"),
        "upstream": quoting.log_variable("upstream"),
        "tries": quoting.log_number("log_tries"),
        "flags": quoting.log_variable("flags"),
        "audit": quoting.log_variable("audit") if audited else quoting.log_text(""),
        "build": quoting.log_text(sidecar.build),
    }
    return quoting.log_format([(field, values[field]) for field in ACCESS_LOG_FIELDS])
