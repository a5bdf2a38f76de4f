"""The one access-log schema as a log format."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from meshctl import ir
from meshctl.ir.access_logs import ACCESS_LOG_FIELDS
from meshctl.targets.haproxy import quoting
from meshctl.targets.haproxy.model import AccessLog
from meshctl.targets.haproxy.quoting import Token

_NOW = r'%[date,utime(%Y-%m-%dT%H:%M:%S)].%[date(0,ms),regsub("^.*(...)$","\1")]Z'


class Direction(StrEnum):
    """Which listener took the request."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


def access_log(sidecar: ir.Sidecar, direction: Direction) -> AccessLog | None:
    """The lines of one listener; None when the log is off."""
    if not sidecar.access_log.enabled:
        return None
    text = quoting.format_string
    outbound = direction is Direction.OUTBOUND
    known = {
        "mesh": text(sidecar.mesh),
        "service": text(sidecar.service),
        "direction": text(direction),
        "status": "%ST",
        "duration_ms": "%Ta",
        "bytes_out": "%B",
        "flags": '"%ts"',
        "audit": '""',
        "build": text(sidecar.build),
    }
    request = {
        "time": _variable("txn.time"),
        "caller": text(sidecar.service) if outbound else _variable("sess.caller"),
        **{field: _variable(f"txn.{field}") for field in ("method", "host", "path", "route", "upstream")},
        "bytes_in": "%[var(txn.bytes_in,0)]",
        "tries": "%[var(txn.tries,0)]",
    }
    # A handshake that failed or bytes that were no request: there are no variables to speak of.
    failure = {
        "time": f'"{_NOW}"',
        "caller": text(sidecar.service if outbound else ""),
        **dict.fromkeys(("method", "host", "path", "route", "upstream"), text("")),
        "bytes_in": "0",
        "tries": "0",
    }
    return AccessLog(_format({**known, **request}), _format({**known, **failure}))


def _format(values: Mapping[str, str]) -> Token:
    return quoting.log_format({field: values[field] for field in ACCESS_LOG_FIELDS})


def _variable(name: str) -> str:
    # With its quotes made by HAProxy: where a sample is empty, a log format prints a dash.
    return f'%[str(\\"),concat(,{name},\\")]'
