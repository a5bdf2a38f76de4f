"""What sidecars tell those who speak gRPC. Envoy gives its own answers to them their shape by itself."""

from __future__ import annotations

from meshctl.ir.mesh import HOP_STATUS, STATUS_HEADER
from meshctl.targets.envoy import status_match
from meshctl.targets.envoy.protobuf import Message, typed

_STATUSES = (
    "ok",
    "cancelled",
    "unknown",
    "invalid-argument",
    "deadline-exceeded",
    "not-found",
    "already-exists",
    "permission-denied",
    "resource-exhausted",
    "failed-precondition",
    "aborted",
    "out-of-range",
    "unimplemented",
    "internal",
    "unavailable",
    "data-loss",
    "unauthenticated",
)
"""In the order of their numbers."""

_DEAD = "dead"
"""Marks the answer for an application that could not be reached, until it has its status back."""

_PLAIN = f"""function envoy_on_response(response)
  local headers = response:headers()
  headers:replace(":status", "{HOP_STATUS}")
  headers:remove("content-type")
  headers:remove("grpc-status")
  headers:remove("grpc-message")
  headers:remove("{STATUS_HEADER}")
end
"""

_CONTENT_TYPE = "application/grpc"

_UNREACHED = f"""function envoy_on_response(response)
  local headers = response:headers()
  -- Of a request that no filter has seen, such as a refused upgrade, the match knows nothing.
  if headers:get(":status") ~= "{HOP_STATUS}" then return end
  headers:replace(":status", "200")
  headers:replace("content-type", "{_CONTENT_TYPE}")
  headers:replace("grpc-status", "{_STATUSES.index("unavailable")}")
  headers:remove("content-length")
end
"""


def status_headers(statuses: tuple[str, ...]) -> list[Message]:
    """``HeaderMatcher`` for answers that end with one of ``statuses`` and hold nothing else."""
    return [
        {"name": "grpc-status", "string_match": {"exact": str(_STATUSES.index(status))}}
        for status in statuses
    ]


def mark_dead() -> Message:
    """Fields of a local-reply mapper, for :func:`plain_hop_status`. The answer's status may be 200 by now."""
    header = {"key": STATUS_HEADER, "value": _DEAD}
    return {"headers_to_add": [{"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}]}


def plain_hop_status() -> Message:
    """A filter of the inbound listener: to the caller's sidecar a dead application is a plain status."""
    read = typed("type.matcher.v3.HttpResponseHeaderMatchInput", header_name=STATUS_HEADER)
    dead = {
        "single_predicate": {"input": {"name": "mark", "typed_config": read}, "value_match": {"exact": _DEAD}}
    }
    lua = typed("filters.http.lua.v3.Lua", default_source_code={"inline_string": _PLAIN})
    return status_match.skipping("plain-hop-status", {"not_matcher": dead}, lua)


def unreached() -> Message:
    """A filter of an outbound listener that takes HTTP/2: the hop status as a gRPC client understands it.

    Between sidecars it has no body there, for behind one a gRPC client would look for trailers.
    """
    read = typed("type.matcher.v3.HttpRequestHeaderMatchInput", header_name="content-type")
    matched = {
        "input": {"name": "content-type", "typed_config": read},
        "value_match": {"prefix": _CONTENT_TYPE},
    }
    asked = {"single_predicate": matched}
    answered = status_match.any_of((HOP_STATUS,))
    lua = typed("filters.http.lua.v3.Lua", default_source_code={"inline_string": _UNREACHED})
    both = {"and_matcher": {"predicate": [asked, answered]}}
    return status_match.skipping("unreached", {"not_matcher": both}, lua)
