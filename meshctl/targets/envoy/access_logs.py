"""The access log."""

from __future__ import annotations

import json

from meshctl.ir import Authorization, OutboundListener, Sidecar
from meshctl.targets.envoy import authorization as rules
from meshctl.targets.envoy import logged_requests, tracing
from meshctl.targets.envoy.protobuf import Message, format_literal, fraction, typed
from meshctl.targets.envoy.tracing import Direction

FLUSH_MILLISECONDS = 500
"""How long a line may wait in Envoy's buffer; its default is ten seconds."""

_SERVICE_OF_PEER = "re.extract(connection.uri_san_peer_certificate, '^spiffe://[^/]*/(.*)$', '\\\\1')"
"""CEL for what follows the trust domain, which the handshake has already compared."""

_RECEIVED = "meshctl.received."
"""Before the names of what a route may rewrite, as it was received."""

_STREAM: Message = {
    "method": "",
    "host": "",
    "path": "",
    "route": "",
    "status": 0,
    # What the line of a request says is empty where the connection failed.
    "upstream": "%UPSTREAM_HOST%%REQ(:NONE)%",
    "trace_id": "",
    "span_id": "",
    "parent_id": "",
}
"""What is different in the line of a connection that carries no requests."""

_TAKEN = "upstream.request_attempt_count > 0u"
"""The handshake is over. Before that a peer has shown a certificate, but not that it is its own."""

_REFUSED = "connection.transport_failure_reason.contains('verify cert failed: SAN matcher')"
"""The handshake failed at a certificate of the mesh's CA whose name is not let in."""

_TOLD_ALWAYS = "response.code_details != 'via_upstream' || response.code >= 500 || response.code == 425"
"""What nobody else has answered, or answered in full, and what went wrong."""

_NO_CHAIN: Message = {"filter": {"response_flag_filter": {"flags": ["NR"]}}}
"""No filter chain of the listener takes the connection."""

_HOST = ("REQ", ":AUTHORITY")
_PATH = ("PATH", "NQ:PATH")

PATH = "%PATH(NQ:PATH)%"
"""The command for the path of a request without its query."""


def inbound_logs(sidecar: Sidecar, authorization: Authorization, *, plaintext: bool = False) -> list[Message]:
    """``envoy.config.accesslog.v3.AccessLog`` of the inbound listener."""
    fields = _fields(sidecar, Direction.INBOUND, caller="" if plaintext else _or_empty(caller(authorization)))
    keys = rules.audited_keys(authorization)
    told = _told(sidecar)
    if not keys:
        return _logs(sidecar, [(fields, told)])
    denied = [_said(key, "denied", unsaid=False) for key in keys]
    # What the gate has refused was never asked about.
    passed = [_said(key, "allowed", unsaid=True) for key in keys]
    if len(keys) > 1:
        denied = [{"or_filter": {"filters": denied}}]
    audited = fields | {"audit": "denied"}
    return _logs(sidecar, [(audited, {"filter": denied[0]}), (fields, _all_of(*passed, *told.values()))])


def outbound_logs(sidecar: Sidecar, listener: OutboundListener) -> list[Message]:
    """The same of a listener for the own application, or of a gateway's."""
    fields = _fields(sidecar, Direction.OUTBOUND, caller=format_literal(sidecar.service))
    if _rewrites(listener):
        fields["host"] = _or_empty(_coalesce(_received("host"), _HOST))
        fields["path"] = _or_empty(_coalesce(_received("path"), _PATH))
    return _logs(sidecar, [(fields, _told(sidecar))])


def local_port_logs(sidecar: Sidecar) -> list[Message]:
    """``envoy.config.accesslog.v3.AccessLog`` of a local port for streams: a line for each connection."""
    fields = _fields(sidecar, Direction.OUTBOUND, caller=format_literal(sidecar.service))
    return _logs(sidecar, [(fields | _stream(sidecar), {})])


def refused_stream_logs(sidecar: Sidecar) -> list[Message]:
    """The same of connections that no filter chain of a listener takes."""
    fields = _fields(sidecar, Direction.OUTBOUND, caller=format_literal(sidecar.service))
    return _logs(sidecar, [(fields | _stream(sidecar), _NO_CHAIN)])


def inbound_stream_logs(sidecar: Sidecar, authorization: Authorization) -> list[Message]:
    """The same of an inbound listener for streams."""
    fields = _fields(sidecar, Direction.INBOUND, caller=_or_empty(f"%CEL({_SERVICE_OF_PEER})%")) | _stream(
        sidecar
    )
    lines = [(fields | {"caller": ""}, _where(_REFUSED))]
    if not authorization.audit:
        return _logs(sidecar, [*lines, (fields, _where(_TAKEN))])
    allowed = rules.names_expression(authorization)
    lines.append((fields | {"audit": "denied"}, _where(f"{_TAKEN} && !({allowed})")))
    lines.append((fields, _where(f"{_TAKEN} && ({allowed})")))
    return _logs(sidecar, lines)


def plaintext_stream_logs(sidecar: Sidecar, *, audited: bool) -> list[Message]:
    """The same of streams without TLS, all of which are let in, be it for the audit."""
    fields = _fields(sidecar, Direction.INBOUND, caller="") | _stream(sidecar)
    return _logs(sidecar, [(fields | ({"audit": "denied"} if audited else {}), {})])


def refused_plaintext_logs(sidecar: Sidecar) -> list[Message]:
    """The same where none of them is."""
    return _logs(sidecar, [(_fields(sidecar, Direction.INBOUND, caller="") | _stream(sidecar), _NO_CHAIN)])


def _stream(sidecar: Sidecar) -> Message:
    return _STREAM | logged_requests.empty(sidecar.access_log)


def _where(expression: str) -> Message:
    """``AccessLogFilter``: the connections of which a CEL expression holds."""
    config = typed("access_loggers.filters.cel.v3.ExpressionFilter", expression=expression)
    name = "envoy.access_loggers.extension_filters.cel"
    return {"filter": {"extension_filter": {"name": name, "typed_config": config}}}


def _all_of(*filters: Message) -> Message:
    """Field of an AccessLog. The proxy takes no ``and_filter`` of one."""
    return {"filter": filters[0] if len(filters) == 1 else {"and_filter": {"filters": list(filters)}}}


def _told(sidecar: Sidecar) -> Message:
    """Field of an AccessLog: which requests have their line, where not all of them do."""
    share = sidecar.access_log.sampling
    if share == 1:
        return {}
    # Not by the request's id, which all logs of one request would share.
    drawn = {
        "runtime_key": "access_log.sampling",
        "percent_sampled": fraction(share),
        "use_independent_randomness": True,
    }
    return {"filter": {"or_filter": {"filters": [{"runtime_filter": drawn}, _where(_TOLD_ALWAYS)["filter"]]}}}


def received_filters(listener: OutboundListener) -> list[Message]:
    """What keeps the host and the path of a request, where a route rewrites any."""
    if not _rewrites(listener):
        return []
    kept = [
        {
            "object_key": f"{_RECEIVED}{name}",
            "factory_key": "envoy.string",
            "format_string": {"text_format_source": {"inline_string": f"%{command}({parameter})%"}},
        }
        for name, (command, parameter) in (("host", _HOST), ("path", _PATH))
    ]
    config = typed("filters.http.set_filter_state.v3.Config", on_request_headers=kept)
    return [{"name": "as-received", "typed_config": config}]


def received_path(listener: OutboundListener) -> str:
    """The command for the path without its query, as it was received."""
    return _coalesce(_received("path"), _PATH) if _rewrites(listener) else PATH


def _rewrites(listener: OutboundListener) -> bool:
    return any(route.rewrite for host in listener.virtual_hosts for route in host.routes)


def _received(name: str) -> tuple[str, str]:
    return ("FILTER_STATE", f"{_RECEIVED}{name}:PLAIN")


def caller(authorization: Authorization) -> str:
    """The format of the caller's service. CEL costs tens of microseconds; who is let in by name is known without it."""
    key = rules.caller_key(authorization)
    if not key:
        return f"%CEL({_SERVICE_OF_PEER})%"
    return _coalesce(("DYNAMIC_METADATA", f"{rules.METADATA}:{key}"), ("CEL", _SERVICE_OF_PEER))


def _said(key: str, result: str, *, unsaid: bool) -> Message:
    """``AccessLogFilter``: what a filter would have done; ``unsaid`` where it said nothing."""
    matcher = {
        "filter": rules.METADATA,
        "path": [{"key": key}],
        "value": {"string_match": {"exact": result}},
    }
    return {"metadata_filter": {"matcher": matcher, "match_if_key_not_found": unsaid}}


def _logs(sidecar: Sidecar, lines: list[tuple[Message, Message]]) -> list[Message]:
    """One log for each kind of line, with the filter that it is for."""
    if not sidecar.access_log.enabled:
        return []
    return [
        {
            "name": "access-log",
            **condition,
            "typed_config": typed(
                "access_loggers.stream.v3.StdoutAccessLog",
                log_format={"json_format": fields, "omit_empty_values": True},
            ),
        }
        for fields, condition in lines
    ]


def _fields(sidecar: Sidecar, direction: Direction, caller: str) -> Message:
    """Envoy sorts the keys itself."""
    return {
        "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
        "mesh": format_literal(sidecar.mesh),
        "service": format_literal(sidecar.service),
        "direction": direction.value,
        "caller": caller,
        "method": _or_empty("%REQ(:METHOD)%"),
        "host": _or_empty(_command(_HOST)),
        "path": _or_empty(_command(_PATH)),
        "route": _or_empty("%ROUTE_NAME%"),
        "status": "%RESPONSE_CODE%",
        "duration_ms": "%DURATION%",
        "bytes_in": "%BYTES_RECEIVED%",
        "bytes_out": "%BYTES_SENT%",
        "upstream": _or_empty("%UPSTREAM_REMOTE_ADDRESS%"),
        "tries": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "flags": "%RESPONSE_FLAGS%",
        "audit": "",
        **{key: each and _or_empty(each) for key, each in tracing.logged(sidecar, direction).items()},
        "build": format_literal(sidecar.build),
        **logged_requests.fields(sidecar.access_log),
    }


def _command(command: tuple[str, str]) -> str:
    name, parameter = command
    return f"%{name}({parameter})%"


def _coalesce(*commands: tuple[str, str]) -> str:
    """The first of the commands that has a value."""
    operators = [{"command": name, "param": parameter} for name, parameter in commands]
    return f"%COALESCE({json.dumps({'operators': operators})})%"


def _or_empty(command: str) -> str:
    """A missing value as an empty string, where a command alone would have its key left out.

    No client can send a header whose name begins with a colon.
    """
    return f"{command}%REQ(:NONE)%"
