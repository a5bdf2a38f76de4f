"""What Envoy 1.40 can do of the language, and how it differs where it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshctl.ir import Feature, RouteMatch, Sidecar
from meshctl.targets.base import NOT_YET, TO_DO, Capability, Conflict, Emulated, Native

VERSION = "1.40.0"

# Envoy keeps these in fields of their own ("inline headers") and joins repeated lines with a comma.
_JOINED = frozenset(
    [
        "accept",
        "accept-encoding",
        "access-control-request-headers",
        "access-control-request-method",
        "authentication",
        "authorization",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "grpc-timeout",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "keep-alive",
        "origin",
        "pragma",
        "proxy-connection",
        "referer",
        "te",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "via",
        "x-client-trace-id",
        "x-ot-span-context",
        "x-request-id",
    ]
)
_JOINED_PREFIXES = ("access-control-", "grpc-", "x-envoy-", "x-forwarded-")


def _matches_joined_header(sidecar: Sidecar) -> bool:
    return any(
        header.name in _JOINED or header.name.startswith(_JOINED_PREFIXES)
        for host in sidecar.outbound.virtual_hosts
        for route in host.routes
        for header in route.match.headers
    )


CAPABILITIES: Mapping[Feature, Capability] = {
    **NOT_YET,
    **TO_DO,
    Feature.STATIC_DISCOVERY: Native(),
    Feature.ENDPOINT_WEIGHTS: Native(),
    Feature.HOST_ROUTING: Native(),
    Feature.PATH_EXACT: Native(),
    Feature.PATH_PREFIX: Native(),
    Feature.METHOD_MATCH: Native(),
    Feature.HEADER_MATCH: Emulated(
        "repeated lines of headers that Envoy joins as it reads them (such as accept, authorization and "
        "x-forwarded-for) are compared as the one line that they become",
        applies=_matches_joined_header,
    ),
    Feature.PATH_GATE: Native(),
    Feature.WEIGHTED_SPLITTING: Native(),
    Feature.TIMEOUT: Native(),
    Feature.CONNECT_TIMEOUT: Native(),
    Feature.IDLE_TIMEOUT: Native(),
    Feature.RETRY_CONNECT_FAILURE: Native(),
    Feature.RETRY_REFUSED_STREAM: Native(),
    Feature.RETRY_GATEWAY_ERROR: Native(),
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


def _matches_of_unknown_methods(sidecar: Sidecar) -> Iterator[RouteMatch]:
    for host in sidecar.outbound.virtual_hosts:
        for route in host.routes:
            if not METHODS.issuperset(route.match.methods):
                yield route.match


CONFLICTS: tuple[Conflict, ...] = (
    Conflict(
        features=(Feature.METHOD_MATCH,),
        offenders=_matches_of_unknown_methods,
        why="Envoy answers 400 to methods that it does not know, such as QUERY or M-SEARCH",
        instead="match on a method that Envoy knows, or let the caller use another proxy",
    ),
)
