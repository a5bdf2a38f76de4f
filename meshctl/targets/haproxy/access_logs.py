"""The one access-log schema as a log format."""

from __future__ import annotations

from enum import StrEnum

from meshctl import ir
from meshctl.ir.access_logs import ACCESS_LOG_FIELDS
from meshctl.targets.haproxy import quoting
from meshctl.targets.haproxy.quoting import Token


class Direction(StrEnum):
    """Which listener took the request."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"



def log_format(sidecar: ir.Sidecar, direction: Direction) -> Token | None:
    """The line of one listener; None when the log is off."""
    if not sidecar.access_log.enabled:
        return None
    text = quoting.format_string
    outbound = direction is Direction.OUTBOUND
    values = {
        "time": _sample("txn.time"),
        "mesh": text(sidecar.mesh),
        "service": text(sidecar.service),
        "direction": text(direction),
        "caller": text(sidecar.service) if outbound else _sample("sess.caller"),
        "method": _sample("txn.method"),
        "host": _sample("txn.host"),
        "path": _sample("txn.path"),
        "route": _sample("txn.route"),
        "status": "%ST",
        "duration_ms": "%Ta",
        "bytes_in": "%U",
        "bytes_out": "%B",
        "upstream": _sample("txn.upstream"),
        "tries": "%[var(txn.tries,0)]",
        "flags": '"%ts"',
        "build": text(sidecar.build),
    }
    return quoting.log_format({field: values[field] for field in ACCESS_LOG_FIELDS})


def _sample(variable: str) -> str:
    # With its quotes made by HAProxy: where a sample is empty, a log format prints a dash.
    return f'%[str(\\"),concat(,{variable},\\")]'
