"""What a route changes on the way, or answers by itself."""

from __future__ import annotations

from typing import assert_never

from meshctl.ir import DirectResponse, HeaderChanges, OutboundListener, Redirect, Rewrite, Route
from meshctl.ir.mesh import CARRIED_STATUS, HOP_STATUS, STATUS_HEADER
from meshctl.targets.envoy import forwarded_proto, status_match
from meshctl.targets.envoy.protobuf import Message, format_literal, regex_literal, typed

REDIRECT = "redirect"
RESPONSE_HEADERS = "response-headers"
"""Names of filters; routes keep what is theirs under them."""

_DEFAULT_PORTS = {"http": 80, "https": 443}

_LOCATION = f"""function envoy_on_response(response)
  local headers, redirect = response:headers(), response:metadata()
  if headers:get("{STATUS_HEADER}") ~= "{REDIRECT}" then return end
  local authority, path, query = string.match(headers:get("location"), "^(.*) ([^ ?]*)([^ ]*)$")
  local host, port = string.match(authority, "^(.*):(%d*)$")
  host = redirect:get("hostname") or string.gsub(string.lower(host or authority), "%.$", "")
  port = string.gsub(redirect:get("port") or port or "", "^0+", "")
  if port == "" then port = redirect:get("own_port") or "" end
  if port ~= "" and port ~= redirect:get("default_port") then host = host .. ":" .. port end
  if redirect:get("path") then
    path = redirect:get("path")
  elseif redirect:get("prefix") then
    path = redirect:get("prefix") .. string.sub(path, redirect:get("cut") + 1)
    if path == "" then path = "/" end
  end
  headers:replace("location", redirect:get("scheme") .. "://" .. host .. path .. query)
end
"""


def rewrite(route: Route) -> Message:
    """Fields of a RouteAction. Envoy rewrites the path without its query."""
    its = route.rewrite or Rewrite()
    fields: Message = {}
    if its.path:
        fields["regex_rewrite"] = _substitution("^.*$", its.path)
    elif its.prefix:
        matched, prefix = route.match.path.value.rstrip("/"), its.prefix.rstrip("/")
        # Without a prefix to put in its place the slash behind the matched one stays, and there may be none.
        seam = "" if prefix else "/?"
        fields["regex_rewrite"] = _substitution(f"^{regex_literal(matched)}{seam}", prefix or "/")
    if its.hostname:
        fields["host_rewrite_literal"] = its.hostname
    return fields


def _substitution(regex: str, text: str) -> Message:
    return {"pattern": {"regex": regex}, "substitution": text.replace("\\", "\\\\")}


def request_headers(changes: HeaderChanges) -> Message:
    """Fields of a Route. Envoy removes before it adds, and a route's changes come before its host's.

    The host puts ``x-forwarded-proto`` back from where it was kept, so that is where a route changes it.
    """
    fields: Message = {}
    if changes.remove:
        fields["request_headers_to_remove"] = [forwarded_proto.kept(name) for name in changes.remove]
    added = [_header(forwarded_proto.kept(name), value, replace=True) for name, value in changes.set]
    for name, value in changes.add:
        special = forwarded_proto.added(name, format_literal(value))
        added += special or [_header(name, value, replace=False)]
    if added:
        fields["request_headers_to_add"] = added
    return fields


def response_headers(changes: HeaderChanges) -> Message:
    """``typed_per_filter_config`` of a Route, for :func:`response_filter`. Nothing where nothing is changed."""
    mutations = [
        *({"remove": name} for name in changes.remove),
        *({"append": _header(name, value, replace=True)} for name, value in changes.set),
        *({"append": _header(name, value, replace=False)} for name, value in changes.add),
    ]
    if not mutations:
        return {}
    mutated = typed(
        "filters.http.header_mutation.v3.HeaderMutationPerRoute", mutations={"response_mutations": mutations}
    )
    return {RESPONSE_HEADERS: mutated}


def response_filter(*, hop: bool) -> Message:
    """A filter of a cluster, so that Envoy's own answers do not pass: the fields of a Route would change them.

    Over a hop the other sidecar's word that its application is dead is no answer of the callee's.
    """
    config = typed("filters.http.header_mutation.v3.HeaderMutation")
    if not hop:
        return {"name": RESPONSE_HEADERS, "typed_config": config}
    return status_match.unless(RESPONSE_HEADERS, HOP_STATUS, config)


def answer(route: Route, given: Redirect | DirectResponse, listener: OutboundListener) -> Message:
    """Fields of a Route that answers by itself."""
    match given:
        case Redirect():
            fields = _redirect(route, given, listener)
            own = [("location", "%REQ(:AUTHORITY)% %REQ(:PATH)%"), (STATUS_HEADER, REDIRECT)]
        case DirectResponse():
            fields, own = _direct_response(given)
        case other:
            assert_never(other)
    added = [_raw_header(name, value) for name, value in own]
    changes = route.response_headers
    added += [_header(name, value, replace=True) for name, value in changes.set]
    added += [_header(name, value, replace=False) for name, value in changes.add]
    # Envoy tells the request's own URL as the Location of a 201 or 3xx.
    fields["response_headers_to_remove"] = list(dict.fromkeys(["location", *changes.remove]))
    if added:
        fields["response_headers_to_add"] = added
    return fields


def _redirect(route: Route, redirect: Redirect, listener: OutboundListener) -> Message:
    """The parts of the Location, for the script that puts them together with the request's."""
    scheme = redirect.scheme or ("https" if listener.tls else "http")
    default_port = _DEFAULT_PORTS[scheme]
    parts: Message = {"scheme": scheme, "default_port": str(default_port)}
    if redirect.hostname:
        parts["hostname"] = redirect.hostname
    if redirect.port or redirect.scheme:
        parts["port"] = str(redirect.port or default_port)
    elif not listener.domain:
        parts["own_port"] = str(listener.bind.port)
    if redirect.path:
        parts["path"] = redirect.path
    elif redirect.prefix:
        parts["prefix"] = redirect.prefix.rstrip("/")
        parts["cut"] = len(route.match.path.value.rstrip("/"))
    return {
        "metadata": {"filter_metadata": {REDIRECT: parts}},
        "direct_response": {"status": redirect.status},
    }


def _direct_response(given: DirectResponse) -> tuple[Message, list[tuple[str, str]]]:
    """A 425 goes as an application's own would, see hop_status."""
    carried = given.status == HOP_STATUS
    response: Message = {"status": CARRIED_STATUS if carried else given.status}
    if given.body:
        response["body"] = {"inline_string": given.body}
    return {"direct_response": response}, [(STATUS_HEADER, str(HOP_STATUS))] if carried else []


def redirect_filters(listener: OutboundListener) -> list[Message]:
    """What completes the Location, where a route redirects. Only its answers reach the script."""
    statuses = sorted(
        {
            route.answer.status
            for host in listener.virtual_hosts
            for route in host.routes
            if isinstance(route.answer, Redirect)
        }
    )
    return [status_match.lua_when(REDIRECT, tuple(statuses), _LOCATION)] if statuses else []


def _header(name: str, value: str, *, replace: bool) -> Message:
    return _raw_header(name, format_literal(value), replace=replace)


def _raw_header(name: str, value: str, *, replace: bool = True) -> Message:
    """``envoy.config.core.v3.HeaderValueOption``; ``value`` is a substitution format."""
    action = "OVERWRITE_IF_EXISTS_OR_ADD" if replace else "APPEND_IF_EXISTS_OR_ADD"
    return {"header": {"key": name, "value": value}, "append_action": action}
