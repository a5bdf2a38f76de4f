"""What NGINX can do of the language, and what not together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshctl.ir import Cluster, Feature, MtlsMode, Protocol, RetryCondition, RetryPolicy, Route, Sidecar
from meshctl.targets.base import NOT_YET, Capability, Conflict, Emulated, Native, Unsupported
from meshctl.targets.nginx.filters import adds_to_answers_line, adds_to_one_line
from meshctl.targets.nginx.retries import MOST_HOP_FAILURES, needs_hop


def _routes(sidecar: Sidecar) -> Iterator[Route]:
    for listener in (sidecar.outbound, *sidecar.locals):
        for host in listener.virtual_hosts:
            yield from host.routes


def _looked_up_streams(sidecar: Sidecar) -> Iterator[Cluster]:
    return (each for each in sidecar.clusters if each.dns is not None and each.protocol is Protocol.TCP)


def _looks_up_external_streams(sidecar: Sidecar) -> bool:
    return any(each.identity is None for each in _looked_up_streams(sidecar))


_STREAMS_BY_DNS = Emulated(
    "while DNS fails, new streams (`protocol: tcp`) are closed as soon as the last answer is older than `refresh`",
    applies=lambda sidecar: any(each.identity is not None for each in _looked_up_streams(sidecar)),
)


def _calls_http2(sidecar: Sidecar) -> bool:
    return any(each.protocol.multiplexed for each in sidecar.clusters)


def _waits_for_calls(sidecar: Sidecar) -> bool:
    calls = {each.name for each in sidecar.clusters if each.protocol is Protocol.GRPC}
    return any(
        not route.streaming and any(each.cluster in calls for each in route.backends)
        for route in _routes(sidecar)
    )


def _rewrites_for_http2(sidecar: Sidecar) -> bool:
    multiplexed = {each.name for each in sidecar.clusters if each.protocol.multiplexed}
    return any(
        route.rewrite is not None
        and bool(route.rewrite.prefix or route.rewrite.path)
        and any(each.cluster in multiplexed for each in route.backends)
        for route in _routes(sidecar)
    )


def _adds_to_one_line(sidecar: Sidecar) -> bool:
    return any(adds_to_one_line(route.request_headers) for route in _routes(sidecar))


def _changes_answers_otherwise(sidecar: Sidecar) -> bool:
    changed = [route.response_headers for route in _routes(sidecar)]
    return any("date" in each.remove or adds_to_answers_line(each) for each in changed)


def _tells_streams_apart(sidecar: Sidecar) -> bool:
    its = sidecar.inbound
    return its is not None and its.protocol is Protocol.TCP and its.mtls is MtlsMode.PERMISSIVE


def _streams(sidecar: Sidecar) -> Iterator[Cluster]:
    return (each for each in sidecar.clusters if each.protocol is Protocol.TCP)


def _ejects_streams(sidecar: Sidecar) -> bool:
    return any(each.outlier_detection for each in _streams(sidecar))


def _has_levels_of_streams(sidecar: Sidecar) -> bool:
    return any(endpoint.priority > 1 for each in _streams(sidecar) for endpoint in each.endpoints)


CAPABILITIES: Mapping[Feature, Capability] = {
    **NOT_YET,
    Feature.STATIC_DISCOVERY: Native(),
    Feature.ENDPOINT_WEIGHTS: Native(),
    Feature.IPV6: Native(),
    Feature.HOST_ROUTING: Native(),
    Feature.WILDCARD_HOSTS: Native(),
    Feature.PATH_EXACT: Native(),
    Feature.PATH_PREFIX: Native(),
    Feature.PATH_REGEX: Native(),
    Feature.METHOD_MATCH: Native(),
    Feature.HEADER_MATCH: Native(),
    Feature.HEADER_REGEX: Native(),
    Feature.HEADER_PRESENT: Native(),
    Feature.QUERY_MATCH: Native(),
    Feature.QUERY_REGEX: Native(),
    Feature.QUERY_PRESENT: Native(),
    Feature.CALLER_MATCH: Native(),
    Feature.PATH_GATE: Native(),
    Feature.WEIGHTED_SPLITTING: Native(),
    Feature.REDIRECT: Native(),
    Feature.DIRECT_RESPONSE: Native(),
    Feature.PATH_REWRITE: Emulated(
        "in a path that is rewritten on its way to an application of HTTP/2 or gRPC, escapes are written anew: "
        "`%2B` becomes `+`",
        applies=_rewrites_for_http2,
    ),
    Feature.HOST_REWRITE: Native(),
    Feature.REQUEST_HEADERS: Emulated(
        "`add` to a header that NGINX keeps in one line (such as authorization and user-agent) goes into that line",
        applies=_adds_to_one_line,
    ),
    Feature.RESPONSE_HEADERS: Emulated(
        "a `date` that is removed is put back, with the sidecar's own time, and `add` to a header that NGINX keeps in "
        "one line (such as etag and content-encoding) goes into that line",
        applies=_changes_answers_otherwise,
    ),
    Feature.TIMEOUT: Emulated(
        "while a callee takes a large request body slowly, each gap may last as long as the timeout; where it "
        "takes the body at once, the time is exact over all tries to the end of the response (but to clients that "
        "speak HTTP/2 a late body ends with its next piece)"
    ),
    Feature.PER_TRY_TIMEOUT: Emulated(
        "while a callee takes a large request body slowly, each gap may last as long as the timeout, and making "
        "the connection has the time for itself"
    ),
    Feature.BODY_TIMEOUT: Emulated("an upload that stands still is cut up to 300 ms later"),
    Feature.STREAMING: Emulated(
        "a request with a body is not tried again once an endpoint's sidecar has taken it"
    ),
    Feature.CONNECT_TIMEOUT: Native(),
    Feature.IDLE_TIMEOUT: Native(),
    Feature.RETRY_CONNECT_FAILURE: Native(),
    Feature.RETRY_REFUSED_STREAM: Emulated(
        "a stream that a callee of HTTP/2 or gRPC refuses counts as `reset`", applies=_calls_http2
    ),
    Feature.RETRY_RESET: Native(),
    Feature.RETRY_GATEWAY_ERROR: Native(),
    Feature.RETRY_SERVER_ERROR: Native(),
    Feature.RETRY_STATUS: Native(),
    Feature.RETRY_PER_TRY_TIMEOUT: Native(),
    Feature.RETRY_NON_IDEMPOTENT: Native(),
    Feature.IDEMPOTENT_METHODS: Native(),
    Feature.RETRY_BACKOFF: Native(),
    Feature.RETRY_BUDGET: Emulated("requests count whose route has a budget too"),
    Feature.ROUND_ROBIN: Native(),
    Feature.MAX_CONNECTIONS: Emulated(
        "connections that are kept without a request do not count, and to callees of HTTP/2 each request has one to itself"
    ),
    Feature.MAX_REQUESTS: Native(),
    Feature.MTLS_STRICT: Native(),
    Feature.MTLS_PERMISSIVE: Emulated(
        "a client of a stream (`protocol: tcp`) that comes in plaintext and waits to be spoken to first is closed after "
        "`idleTimeout`, for NGINX reads a client's first bytes before it connects to the application",
        applies=_tells_streams_apart,
    ),
    Feature.MTLS_DISABLED: Native(),
    Feature.CIPHER_SUITES: Native(),
    Feature.REVOCATION: Native(),
    Feature.AUTHORIZATION_DECLARED: Native(),
    Feature.AUTHORIZATION_EXPLICIT: Native(),
    Feature.AUTHORIZATION_OPEN: Native(),
    Feature.AUTHORIZATION_RULES: Native(),
    Feature.AUTHORIZATION_AUDIT: Native(),
    Feature.HEALTH_PATH: Native(),
    Feature.JWT: Unsupported(
        "NGINX verifies no signatures",
        "Let the service use envoy or haproxy, or let the application verify its tokens and allow callers by `from`.",
    ),
    Feature.IDENTITY_HEADER: Native(),
    Feature.DEAD_APPLICATION: Native(),
    Feature.TCP: Native(),
    Feature.LOCAL_PORT: Native(),
    Feature.EXTERNALS: Emulated(
        "while DNS fails, new streams (`protocol: tcp`) are closed as soon as the last answer is "
        "30 seconds old",
        applies=_looks_up_external_streams,
    ),
    Feature.TLS_ORIGINATION: Native(),
    Feature.WILDCARD_EXTERNALS: Native(),
    Feature.EGRESS_ALLOW: Native(),
    Feature.GATEWAY: Native(),
    Feature.GATEWAY_TLS: Native(),
    Feature.HEALTH_LISTENER: Native(),
    Feature.TLS_PASSTHROUGH: Native(),
    Feature.HTTP2: Native(),
    Feature.GRPC: Emulated(
        "a call whose answer begins before the request has ended waits for it: write `streaming: true`",
        applies=_waits_for_calls,
    ),
    Feature.RETRY_GRPC_STATUS: Unsupported(
        "NGINX cannot see the trailers of an answer before it has been handed on",
        "Retry on connect-failure or per-try-timeout, or let the gRPC client retry by its service config.",
    ),
    Feature.DNS_DISCOVERY: _STREAMS_BY_DNS,
    Feature.DNS_SRV_DISCOVERY: Native(),
    Feature.CONSUL_DISCOVERY: _STREAMS_BY_DNS,
    Feature.KUBERNETES_DISCOVERY: _STREAMS_BY_DNS,
    Feature.LEAST_REQUEST: Native(),
    Feature.RANDOM: Native(),
    Feature.RING_HASH: Native(),
    Feature.HASH_ON_HEADER: Native(),
    Feature.HASH_ON_COOKIE: Native(),
    Feature.HASH_ON_SOURCE_ADDRESS: Native(),
    Feature.LOCALITY: Emulated(
        "the endpoints of a TCP service behind the first level are one level", applies=_has_levels_of_streams
    ),
    Feature.MAX_PENDING: Emulated(
        "requests that wait go on in no order, up to 5 ms after a connection is free"
    ),
    Feature.MAX_RETRIES: Native(),
    Feature.OUTLIER_DETECTION: Emulated(
        "of a TCP service only connections that do not stand count as errors, those within the ejection time instead "
        "of those in a row; the time is in whole seconds, and maxEjectionPercent does not hold",
        applies=_ejects_streams,
    ),
    Feature.HEALTH_CHECK_HTTP: Native(),
    Feature.HEALTH_CHECK_GRPC: Native(),
    Feature.HEALTH_CHECK_TCP: Native(),
    Feature.MIRRORING: Emulated(
        "copies that are under way when the sidecar reloads or stops may be cut off, and a request that becomes a "
        "WebSocket is not copied"
    ),
    Feature.WEBSOCKET: Emulated(
        "`perTryTimeout` does not bound the handshake of a WebSocket; at a gateway with TLS one that takes longer "
        "than `timeout` is cut off, not answered 504"
    ),
    Feature.RATE_LIMITING: Native(),
    Feature.RATE_LIMIT_PER_CALLER: Native(),
    Feature.FAULT_ABORT: Native(),
    Feature.FAULT_DELAY: Native(),
    Feature.ACCESS_LOG: Native(),
    Feature.ACCESS_LOG_SAMPLING: Emulated("what breaks off behind the head of an answer goes by its status"),
    Feature.ADMIN: Native(),
    Feature.METRICS: Native(),
    Feature.TRACING: Emulated(
        "it sends no spans; a trace goes on with one of its own for all tries of a request, which its access log alone "
        "tells (`span_id`)"
    ),
}


def _too_many_retries(sidecar: Sidecar) -> Iterator[RetryPolicy]:
    clusters = {each.name: each for each in sidecar.clusters}
    for route in _routes(sidecar):
        policy = route.retries
        hops = any(needs_hop(policy, clusters[each.cluster]) for each in route.backends)
        jumps = policy.retries_on(RetryCondition.CONNECT_FAILURE) or hops
        if policy.attempts > MOST_HOP_FAILURES and jumps:
            yield policy


def _streams_by_services(sidecar: Sidecar) -> Iterator[Cluster]:
    return (each for each in _looked_up_streams(sidecar) if each.dns is not None and each.dns.srv)


def _mirrored_streams(sidecar: Sidecar) -> Iterator[Route]:
    return (each for each in _routes(sidecar) if each.streaming and each.mirrors)


def _ejecting_streams(sidecar: Sidecar) -> Iterator[object]:
    return (each.outlier_detection for each in _streams(sidecar) if each.outlier_detection and each.dns)


def _checked_streams(sidecar: Sidecar) -> Iterator[object]:
    return (each.health_check for each in _streams(sidecar) if each.health_check)


CONFLICTS: tuple[Conflict, ...] = (
    Conflict(
        features=(Feature.DNS_SRV_DISCOVERY, Feature.TCP),
        offenders=_streams_by_services,
        why="NGINX asks for the addresses of a TCP service by itself, and knows no SRV records",
        instead="Use `dns`, where all endpoints have one port, or list the endpoints.",
    ),
    Conflict(
        features=(Feature.MIRRORING, Feature.STREAMING),
        offenders=_mirrored_streams,
        why="NGINX has to read a request to its end before it can copy it",
        instead="Leave the mirror or `streaming` out of the route.",
    ),
    Conflict(
        features=(Feature.OUTLIER_DETECTION, Feature.TCP),
        offenders=_ejecting_streams,
        why="NGINX ejects no endpoint of a TCP service that it finds by DNS",
        instead="List the endpoints, or leave outlierDetection out of the TCP service.",
    ),
    Conflict(
        features=(Feature.HEALTH_CHECK_TCP, Feature.TCP),
        offenders=_checked_streams,
        why="NGINX shares nothing between the streams of bytes and the Lua that checks endpoints",
        instead="Leave healthCheck out of the TCP external.",
    ),
    Conflict(
        features=(Feature.RETRY_CONNECT_FAILURE,),
        offenders=_too_many_retries,
        why=f"NGINX can send a request {MOST_HOP_FAILURES + 1} times at most",
        instead=f"Set attempts to {MOST_HOP_FAILURES} or less.",
    ),
)
