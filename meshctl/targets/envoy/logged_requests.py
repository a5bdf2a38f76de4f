"""What a line of the access log tells of a request as it came, kept before anything changes it."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl.ir import AccessLog, LoggedQuery, Sidecar
from meshctl.ir.access_logs import REDACTED
from meshctl.targets.envoy import tracing
from meshctl.targets.envoy.protobuf import Message, typed

_METADATA = "meshctl.received"
_PRINTABLE = r"^(?:([ -~]*)|\C*)$"
_ANYTHING = r"^\C+$"
_QUERIES = {LoggedQuery.KEEP: r"^[^?]*\??", LoggedQuery.NAMES: r"^[^?]*\??|=[^&]*"}
"""What of a target is not told."""


def filters(sidecar: Sidecar) -> list[Message]:
    """The first filter of a listener for requests."""
    if not sidecar.access_log.enabled:
        return []
    rules = [*tracing.received(), *_rules(sidecar.access_log)]
    config = typed("filters.http.header_to_metadata.v3.Config", request_rules=rules)
    return [{"name": "request-as-received", "typed_config": config}]


def _rules(its: AccessLog) -> Iterator[Message]:
    if its.query is not LoggedQuery.DROP:
        cut = tracing.rewritten(_QUERIES[its.query], "")
        yield tracing.to_metadata(":path", _METADATA, "query", cut)
    for header in its.headers:
        value = (
            tracing.rewritten(_ANYTHING, REDACTED)
            if header.redacted
            else tracing.rewritten(_PRINTABLE, r"\1")
        )
        yield tracing.to_metadata(header.name, _METADATA, f"header {header.name}", value)


def fields(its: AccessLog) -> Message:
    """Fields of a line, behind those that each has."""
    found: Message = {}
    if its.query is not LoggedQuery.DROP:
        found["query"] = _kept("query")
    if its.headers:
        found["request_headers"] = {each.name: _kept(f"header {each.name}") for each in its.headers}
    return found


def empty(its: AccessLog) -> Message:
    """The same of a connection that carries no requests."""
    found: Message = {} if its.query is LoggedQuery.DROP else {"query": ""}
    return found | (
        {"request_headers": dict.fromkeys((each.name for each in its.headers), "")} if its.headers else {}
    )


def _kept(key: str) -> str:
    return f"%DYNAMIC_METADATA({_METADATA}:{key})%%REQ(:NONE)%"
