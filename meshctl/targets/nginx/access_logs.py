"""The one access-log schema as log formats. The maps behind the variables are in the template."""

from __future__ import annotations

from meshctl import ir
from meshctl.ir.access_logs import ACCESS_LOG_FIELDS
from meshctl.targets.nginx import quoting
from meshctl.targets.nginx.model import Kept, KeptHeader, LogFormats, LogSampling
from meshctl.targets.nginx.quoting import Token

_TRACE = ("trace_id", "span_id", "parent_id")


def log_formats(sidecar: ir.Sidecar) -> LogFormats | None:
    """The lines of both directions, for requests and for streams; None when the log is off."""
    if not sidecar.access_log.enabled:
        return None
    plaintext = sidecar.inbound is not None and sidecar.inbound.mtls is not ir.MtlsMode.STRICT
    own_name = quoting.log_text(sidecar.service)
    return LogFormats(
        inbound=_line(sidecar, "inbound", quoting.log_variable("caller" if plaintext else "peer")),
        outbound=_line(sidecar, "outbound", own_name),
        inbound_stream=_stream(sidecar, "inbound", quoting.log_variable("caller")),
        outbound_stream=_stream(sidecar, "outbound", own_name),
    )


def _line(sidecar: ir.Sidecar, direction: str, caller: str) -> Token:
    request = {
        "method": quoting.log_variable("request_method"),
        "host": quoting.log_variable("log_host"),
        "path": quoting.log_variable("log_path"),
        "route": quoting.log_variable("route_name") if direction == "outbound" else quoting.log_text(""),
        "status": quoting.log_number("log_status"),
        "bytes_in": quoting.log_number("log_bytes_in"),
        "bytes_out": quoting.log_number("body_bytes_sent"),
        "upstream": quoting.log_variable("upstream"),
        **{field: quoting.log_variable(field) for field in _TRACE},
    }
    return _format(_common(sidecar, direction, caller) | request | _more(sidecar.access_log))


def _stream(sidecar: ir.Sidecar, direction: str, caller: str) -> Token:
    """The line of a connection that carries no requests, written at its end."""
    connection = {
        **dict.fromkeys(("method", "host", "path", "route", *_TRACE), quoting.log_text("")),
        "status": "0",
        "bytes_in": quoting.log_number("bytes_received"),
        "bytes_out": quoting.log_number("bytes_sent"),
        "upstream": quoting.log_variable("upstream_addr"),
    }
    return _format(_common(sidecar, direction, caller) | connection | _more(sidecar.access_log, empty=True))


def _common(sidecar: ir.Sidecar, direction: str, caller: str) -> dict[str, str]:
    audited = direction == "inbound" and sidecar.inbound is not None and sidecar.inbound.authorization.audit
    return {
        "time": quoting.log_variable("log_time"),
        "mesh": quoting.log_text(sidecar.mesh),
        "service": quoting.log_text(sidecar.service),
        "direction": quoting.log_text(direction),
        "caller": caller,
        "duration_ms": quoting.log_number("log_duration"),
        "tries": quoting.log_number("log_tries"),
        "flags": quoting.log_variable("flags"),
        "audit": quoting.log_variable("audit") if audited else quoting.log_text(""),
        "build": quoting.log_text(sidecar.build),
    }


def _format(values: dict[str, str]) -> Token:
    ordered = {field: values[field] for field in ACCESS_LOG_FIELDS}
    return quoting.log_format((ordered | values).items())


def kept(its: ir.AccessLog) -> Kept | None:
    """What is kept of a request as it came, besides what every line has."""
    if not its.enabled or (not its.headers and its.query is ir.LoggedQuery.DROP):
        return None
    return Kept(
        query=Token(_QUERIES[its.query]) if its.query in _QUERIES else None,
        headers=tuple(
            KeptHeader(number, Token(f"$http_{each.name.replace('-', '_')}"), each.redacted)
            for number, each in enumerate(its.headers)
        ),
    )


_QUERIES = {
    ir.LoggedQuery.KEEP: 'ngx.var.args or ""',
    ir.LoggedQuery.NAMES: 'ngx.re.gsub(ngx.var.args or "", "=[^&]*", "", "jo")',
}
"""Expressions of Lua."""


def sampling(sidecar: ir.Sidecar) -> LogSampling | None:
    """None where every request has its line."""
    its = sidecar.access_log
    if not its.enabled or its.sampling == 1:
        return None
    audited = sidecar.inbound is not None and sidecar.inbound.authorization.audit
    return LogSampling(Token(f"{float(its.sampling * 100):.2f}%") if its.sampling else None, audited)


def _more(its: ir.AccessLog, *, empty: bool = False) -> dict[str, str]:
    """Behind the fields of every line."""
    nothing = quoting.log_text("")
    found: dict[str, str] = {}
    if its.query is not ir.LoggedQuery.DROP:
        found["query"] = nothing if empty else quoting.log_variable("log_query")
    if its.headers:
        values = [
            nothing if empty else quoting.log_variable(f"kept_header{number}")
            for number in range(len(its.headers))
        ]
        named = zip((quoting.log_text(each.name) for each in its.headers), values, strict=True)
        found["request_headers"] = "{" + ",".join(f"{name}:{value}" for name, value in named) + "}"
    return found
