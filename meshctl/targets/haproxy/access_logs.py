"""The one access-log schema as a log format."""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from meshctl import ir
from meshctl.ir.access_logs import ACCESS_LOG_FIELDS
from meshctl.targets.haproxy import quoting
from meshctl.targets.haproxy.model import AccessLog, Kept, KeptHeader
from meshctl.targets.haproxy.quoting import Token

_NOW = r'%[date,utime(%Y-%m-%dT%H:%M:%S)].%[date(0,ms),regsub("^.*(...)$","\1")]Z'

_TEXTS = ("method", "host", "path", "route")
_TRACE = ("trace_id", "span_id", "parent_id")

_SERVER = r'"%{-M}[bc_dst,regsub("^(.*:.*)$","[\1]")]%{-M}[bc_dst_port,regsub(^,:)]"'
"""Nothing at all where no server was chosen: -M keeps HAProxy from writing a dash for it."""


class Direction(StrEnum):
    """Which listener took the request."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


def access_log(sidecar: ir.Sidecar, direction: Direction) -> AccessLog | None:
    """The lines of one listener; None when the log is off."""
    if not sidecar.access_log.enabled:
        return None
    text = quoting.format_string
    known = _known(sidecar, direction) | {"status": "%ST", "duration_ms": "%Ta"}
    request = {
        "time": _variable("txn.time"),
        "caller": _caller(sidecar, direction),
        "audit": _audit(sidecar, direction, "txn.audit"),
        **{field: _variable(f"txn.{field}") for field in (*_TEXTS, "upstream", *_TRACE)},
        "bytes_in": "%[var(txn.bytes_in,0)]",
        "tries": "%[var(txn.tries,0)]",
    }
    # A handshake that failed or bytes that were no request: there are no variables to speak of.
    failure = {
        "time": f'"{_NOW}"',
        "caller": text(sidecar.service if direction is Direction.OUTBOUND else ""),
        "audit": text(""),
        **dict.fromkeys((*_TEXTS, "upstream", *_TRACE), text("")),
        "bytes_in": "0",
        "tries": "0",
    }
    its = sidecar.access_log
    return AccessLog(
        _format({**known, **request, **_more(its)}), _format({**known, **failure, **_more(its, empty=True)})
    )


def stream_log(sidecar: ir.Sidecar, direction: Direction) -> Token | None:
    """The line of a connection that carries no requests, written at its end."""
    if not sidecar.access_log.enabled:
        return None
    text = quoting.format_string
    known = _known(sidecar, direction) | {"status": "0", "duration_ms": "%Tt", "bytes_in": "%U"}
    stream = {
        "time": _variable("sess.time"),
        "caller": _caller(sidecar, direction),
        "audit": _audit(sidecar, direction, "sess.audit"),
        **dict.fromkeys((*_TEXTS, *_TRACE), text("")),
        "upstream": _SERVER,
        "tries": "%[var(sess.tries,0)]",
    }
    return _format({**known, **stream, **_more(sidecar.access_log, empty=True)})


def _known(sidecar: ir.Sidecar, direction: Direction) -> dict[str, str]:
    text = quoting.format_string
    return {
        "mesh": text(sidecar.mesh),
        "service": text(sidecar.service),
        "direction": text(direction),
        "bytes_out": "%B",
        "flags": '"%ts"',
        "build": text(sidecar.build),
    }


def _caller(sidecar: ir.Sidecar, direction: Direction) -> str:
    match direction:
        case Direction.OUTBOUND:
            return quoting.format_string(sidecar.service)
        case Direction.INBOUND:
            return _variable("sess.caller")
        case _:
            assert_never(direction)


def _audit(sidecar: ir.Sidecar, direction: Direction, variable: str) -> str:
    inbound = sidecar.inbound if direction is Direction.INBOUND else None
    return _variable(variable) if inbound and inbound.authorization.audit else quoting.format_string("")


def _format(values: dict[str, str]) -> Token:
    ordered = {field: values[field] for field in ACCESS_LOG_FIELDS}
    return quoting.log_format(ordered | values)


def kept(its: ir.AccessLog) -> Kept | None:
    """What is kept of a request as it came, besides what every line has."""
    if not its.enabled or (not its.headers and its.query is ir.LoggedQuery.DROP):
        return None
    return Kept(
        query=Token(_QUERIES[its.query]) if its.query in _QUERIES else None,
        headers=tuple(
            KeptHeader(number, quoting.word(each.name), each.redacted)
            for number, each in enumerate(its.headers)
        ),
    )


_QUERIES = {ir.LoggedQuery.KEEP: "query", ir.LoggedQuery.NAMES: 'query,regsub("=[^&]*",,g)'}


def silence(its: ir.AccessLog) -> Token | None:
    """The condition under which an answer of another's has no line; None where all have."""
    if not its.enabled or its.sampling == 1:
        return None
    share = its.sampling
    return Token(f"{{ rand({share.denominator}) ge {share.numerator} }}")


def _more(its: ir.AccessLog, *, empty: bool = False) -> dict[str, str]:
    """Behind the fields of every line."""
    nothing = quoting.format_string("")
    found: dict[str, str] = {}
    if its.query is not ir.LoggedQuery.DROP:
        found["query"] = nothing if empty else _variable("txn.query")
    if its.headers:
        values = [
            nothing if empty else _variable(f"txn.header{number}") for number in range(len(its.headers))
        ]
        named = zip((quoting.format_string(each.name) for each in its.headers), values, strict=True)
        found["request_headers"] = "{" + ",".join(f"{name}:{value}" for name, value in named) + "}"
    return found


def _variable(name: str) -> str:
    # With its quotes made by HAProxy: where a sample is empty, a log format prints a dash.
    return f'%[str(\\"),concat(,{name},\\")]'
