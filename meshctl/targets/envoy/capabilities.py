"""What Envoy 1.40 can do of the language, and how it differs where it does."""

from __future__ import annotations

from collections.abc import Mapping

from meshctl.ir import Feature, Sidecar
from meshctl.targets.base import Capability, Conflict, Emulated, Native

VERSION = "1.40.0"

_TRIED_ONCE = Emulated("a request whose body is over 1 MiB is tried only once")

CAPABILITIES: Mapping[Feature, Capability] = {
    Feature.STATIC_DISCOVERY: Native(),
    Feature.ENDPOINT_WEIGHTS: Native(),
    Feature.HOST_ROUTING: Native(),
    Feature.PATH_EXACT: Native(),
    Feature.PATH_PREFIX: Native(),
    Feature.METHOD_MATCH: Native(),
    Feature.HEADER_MATCH: Emulated(
        "repeated lines of headers that Envoy joins as it reads them (accept, accept-encoding, "
        "authorization, cache-control, content-type, expect, if-match, origin, referer, user-agent, via, "
        "x-forwarded-*, x-request-id and the like) are compared as the one line that they become; "
        "repeated lines of all other headers are compared one by one"
    ),
    Feature.PATH_GATE: Native(),
    Feature.WEIGHTED_SPLITTING: Native(),
    Feature.TIMEOUT: Native(),
    Feature.CONNECT_TIMEOUT: Native(),
    Feature.IDLE_TIMEOUT: Native(),
    Feature.RETRY_CONNECT_FAILURE: _TRIED_ONCE,
    Feature.RETRY_REFUSED_STREAM: Native(),
    Feature.RETRY_GATEWAY_ERROR: _TRIED_ONCE,
    Feature.ROUND_ROBIN: Native(),
    Feature.MAX_CONNECTIONS: Emulated("connections that are kept without a request do not count"),
    Feature.MAX_REQUESTS: Native(),
    Feature.MTLS_STRICT: Native(),
    Feature.AUTHORIZATION_DECLARED: Native(),
    Feature.IDENTITY_HEADER: Native(),
    Feature.DEAD_APPLICATION: Native(),
    Feature.ACCESS_LOG: Native(),
    Feature.ADMIN: Native(),
}

METHODS = frozenset(
    [
        "ACL",
        "BIND",
        "CHECKOUT",
        "CONNECT",
        "COPY",
        "DELETE",
        "GET",
        "HEAD",
        "LINK",
        "LOCK",
        "MERGE",
        "MKACTIVITY",
        "MKCALENDAR",
        "MKCOL",
        "MOVE",
        "NOTIFY",
        "OPTIONS",
        "PATCH",
        "POST",
        "PROPFIND",
        "PROPPATCH",
        "PURGE",
        "PUT",
        "REBIND",
        "REPORT",
        "SEARCH",
        "SOURCE",
        "SUBSCRIBE",
        "TRACE",
        "UNBIND",
        "UNLINK",
        "UNLOCK",
        "UNSUBSCRIBE",
    ]
)
"""Those that Envoy reads. It has a switch for all others, but one that it calls work in progress."""


def _matches_unknown_method(sidecar: Sidecar) -> bool:
    return any(
        method not in METHODS
        for host in sidecar.outbound.virtual_hosts
        for route in host.routes
        for method in route.match.methods
    )


CONFLICTS: tuple[Conflict, ...] = (
    Conflict(
        features=(Feature.METHOD_MATCH,),
        applies=_matches_unknown_method,
        why="Envoy answers 400 to methods that it does not know, such as QUERY or M-SEARCH",
        instead="match on a method that Envoy knows, or let the caller use another proxy",
    ),
)
