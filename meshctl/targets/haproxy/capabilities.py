"""What HAProxy 2.6 can do of the language, and how it differs where it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshctl.ir import Cluster, Feature, LoadBalancingPolicy, Protocol, Redirect, Sidecar
from meshctl.targets.base import NOT_YET, Capability, Conflict, Emulated, Native, Unsupported
from meshctl.targets.haproxy.egress import MOST_ADDRESSES
from meshctl.targets.haproxy.load_balancing import HEAVIEST

_HELD = Emulated(
    "a request body is held back until it is whole; what is over 60 KB is sent on at once and is tried "
    "again only while connecting fails"
)

_CHECKED = Emulated(
    "connecting may take `timeout`, and the answer as long again; endpoints found by DNS are asked once for each "
    "group of routes with the same times and retries"
)

_LOOKED_UP = Emulated(
    f"no more than {MOST_ADDRESSES} endpoints, those of IPv6 only where there are none of IPv4; an answer that names "
    "none, but for NXDOMAIN, leaves the last known ones; and each request has a connection of its own, with a TLS handshake"
)

_MULTIPLEXED = Emulated(
    "an answer that the application breaks off looks whole but for its Content-Length, or the trailers of gRPC; the "
    "port 80 in a Host is left out; and a client of HTTP/1.1 has its connection closed after each answer"
)


def _speaks_http2(sidecar: Sidecar) -> bool:
    return any(cluster.protocol.multiplexed for cluster in sidecar.clusters)


def _keeps_ports_on_http2(sidecar: Sidecar) -> bool:
    listener = sidecar.outbound
    answers = (route.answer for host in listener.virtual_hosts for route in host.routes)
    keeps = any(isinstance(each, Redirect) and not each.port and not each.scheme for each in answers)
    return keeps and listener.tls is not None and listener.bind.port != 443


def _sends_without_deadline(sidecar: Sidecar) -> bool:
    """Whether a route sends on with no section before it that could answer for a connection (``timeouts.py``)."""
    listeners = (sidecar.outbound, *sidecar.locals)
    routes = [route for each in listeners for host in each.virtual_hosts for route in host.routes]
    routes += [each.egress for each in listeners if each.egress]
    keeps_no_time = (not (each.timeout.written and each.timeout.duration) for each in routes if each.backends)
    return any(keeps_no_time)


def _bounds_no_queue(sidecar: Sidecar) -> bool:
    return any(
        each.circuit_breaker.max_pending and each.protocol is not Protocol.HTTP for each in sidecar.clusters
    )


def _ejects_names(sidecar: Sidecar) -> bool:
    return any(each.dns and each.outlier_detection for each in sidecar.clusters)


def _rings_of_names(sidecar: Sidecar) -> bool:
    return any(each.dns and each.load_balancing.hash_on for each in sidecar.clusters)


def _balances_apart(sidecar: Sidecar) -> bool:
    """Whether routes of different policies share a cluster of that balancing."""
    groups: dict[str, set[object]] = {}
    for listener in (sidecar.outbound, *sidecar.locals):
        for route in (route for host in listener.virtual_hosts for route in host.routes):
            of_route = (route.timeout, route.body_timeout, route.streaming, route.retries, route.mirrors)
            for backend in route.backends:
                groups.setdefault(backend.cluster, set()).add(of_route)
    return any(
        len(groups.get(each.name, ())) > 1
        for each in sidecar.clusters
        if each.load_balancing.policy is LoadBalancingPolicy.LEAST_REQUEST
    )


CAPABILITIES: Mapping[Feature, Capability] = {
    **NOT_YET,
    Feature.STATIC_DISCOVERY: Native(),
    Feature.ENDPOINT_WEIGHTS: Native(),
    Feature.HOST_ROUTING: Native(),
    Feature.PATH_EXACT: Native(),
    Feature.PATH_PREFIX: Native(),
    Feature.METHOD_MATCH: Native(),
    Feature.HEADER_MATCH: Native(),
    Feature.WILDCARD_HOSTS: Native(),
    Feature.PATH_REGEX: Native(),
    Feature.HEADER_REGEX: Native(),
    Feature.HEADER_PRESENT: Native(),
    Feature.QUERY_MATCH: Native(),
    Feature.QUERY_REGEX: Native(),
    Feature.QUERY_PRESENT: Native(),
    Feature.CALLER_MATCH: Native(),
    Feature.PATH_GATE: Emulated(
        "two equal Host lines count as one, and a Content-Length beside a Transfer-Encoding is dropped "
        "and the request served, where others answer 400"
    ),
    Feature.WEIGHTED_SPLITTING: Native(),
    Feature.REDIRECT: Emulated(
        "to HAProxy a Host with :443 over HTTP/2 is one without a port, and its Location gets the listener's own",
        applies=_keeps_ports_on_http2,
    ),
    Feature.DIRECT_RESPONSE: Native(),
    Feature.PATH_REWRITE: Native(),
    Feature.HOST_REWRITE: Native(),
    Feature.REQUEST_HEADERS: Native(),
    Feature.RESPONSE_HEADERS: Native(),
    Feature.TIMEOUT: Emulated(
        "once the response has begun the time starts anew with every piece of it, so that a body that "
        "keeps coming slowly is not cut"
    ),
    Feature.PER_TRY_TIMEOUT: Emulated(
        "a try that cannot connect in this time counts as connect-failure and ends as 503; once its answer has "
        "begun the time starts anew with every piece of it"
    ),
    Feature.BODY_TIMEOUT: Emulated(
        "only the first 60 KB of a body are watched: what stands still later is ended by the timeout (504); and an "
        "application that takes nothing of a big answer for so long loses the rest of it"
    ),
    Feature.STREAMING: Emulated(
        "a request with a body is not tried again once HAProxy has begun to send it, but for connections that fail; "
        "and as a callee's sidecar it holds the first 60 KB of a body back that has a Content-Length"
    ),
    Feature.CONNECT_TIMEOUT: Emulated(
        "on a route for which no `timeout` is written, a connection that times out is answered 503 only to the "
        "first request on an application's connection; later ones see that connection closed",
        applies=_sends_without_deadline,
    ),
    Feature.IDLE_TIMEOUT: Native(),
    Feature.RETRY_CONNECT_FAILURE: _HELD,
    Feature.RETRY_REFUSED_STREAM: Emulated(
        "a stream that a callee's sidecar refuses counts as a reset", applies=_speaks_http2
    ),
    Feature.RETRY_GATEWAY_ERROR: _HELD,
    Feature.RETRY_RESET: _HELD,
    Feature.RETRY_SERVER_ERROR: Emulated(f"answers 505 to 599 are not tried again; {_HELD.how}"),
    Feature.RETRY_STATUS: _HELD,
    Feature.RETRY_PER_TRY_TIMEOUT: _HELD,
    Feature.RETRY_NON_IDEMPOTENT: Native(),
    Feature.IDEMPOTENT_METHODS: Native(),
    Feature.RETRY_BACKOFF: _HELD,
    Feature.RETRY_BUDGET: Emulated(
        f"tries that fail in the same moment can go over the share by a few; {_HELD.how}"
    ),
    Feature.ROUND_ROBIN: Native(),
    Feature.MAX_CONNECTIONS: Emulated(
        "connections that are kept without a request do not count, and to callees of HTTP/2, whose requests share "
        "connections, nothing but `maxRequests` does"
    ),
    Feature.MAX_REQUESTS: Native(),
    Feature.MAX_PENDING: Emulated(
        "connections of TCP and requests over HTTP/2 never wait for one another", applies=_bounds_no_queue
    ),
    Feature.MAX_RETRIES: Native(),
    Feature.LEAST_REQUEST: Emulated(
        "only the requests of routes with the same times, retries and copies are compared, for each such group "
        "has a balancer of its own",
        applies=_balances_apart,
    ),
    Feature.RANDOM: Native(),
    Feature.RING_HASH: Emulated(
        "addresses from DNS take their places on the ring in the order of their coming, so that a key may mean "
        "another endpoint after a restart, and in another sidecar",
        applies=_rings_of_names,
    ),
    Feature.HASH_ON_HEADER: Native(),
    Feature.HASH_ON_COOKIE: Native(),
    Feature.HASH_ON_SOURCE_ADDRESS: Native(),
    Feature.LOCALITY: Native(),
    Feature.OUTLIER_DETECTION: Emulated(
        "of endpoints that are looked up, a try is given up, and seen to fail, up to 20 ms before a timeout that is "
        "written; one that was a retry, or was still connecting then, does not count",
        applies=_ejects_names,
    ),
    Feature.HEALTH_CHECK_HTTP: _CHECKED,
    Feature.HEALTH_CHECK_GRPC: _CHECKED,
    Feature.HEALTH_CHECK_TCP: Native(),
    Feature.MIRRORING: Emulated(
        "what is not whole within its first 60 KB is not copied: bigger bodies, and on a streaming or gRPC route "
        "what has not come at once; nor are WebSockets, trailers, and what would be more than 256 copies under way; "
        "the body of a request to be copied is held back until it is whole, and a copy's answer of more than 60 KB is "
        "read for as long as it keeps coming"
    ),
    Feature.MTLS_STRICT: Native(),
    Feature.MTLS_PERMISSIVE: Native(),
    Feature.MTLS_DISABLED: Native(),
    Feature.AUTHORIZATION_DECLARED: Native(),
    Feature.CIPHER_SUITES: Native(),
    Feature.REVOCATION: Native(),
    Feature.AUTHORIZATION_EXPLICIT: Native(),
    Feature.AUTHORIZATION_OPEN: Native(),
    Feature.AUTHORIZATION_RULES: Native(),
    Feature.AUTHORIZATION_AUDIT: Native(),
    Feature.HEALTH_PATH: Native(),
    Feature.JWT: Native(),
    Feature.TCP: Native(),
    Feature.LOCAL_PORT: Native(),
    Feature.IDENTITY_HEADER: Emulated(
        "what stands in the trailers of a chunked request goes on to the application, also under the name "
        "x-mesh-identity: only the header says who calls"
    ),
    Feature.DEAD_APPLICATION: Emulated(
        "a request whose body is over 60 KB, and still on its way when HAProxy has found the application dead, "
        "may see its connection reset before the answer is read, so that its caller does not try again; where a "
        "callee's sidecar breaks off in the middle of a request, only the first request on an application's "
        "connection is answered 502, and later ones see that connection closed"
    ),
    Feature.IPV6: Native(),
    Feature.EXTERNALS: Native(),
    Feature.TLS_ORIGINATION: Native(),
    Feature.WILDCARD_EXTERNALS: Native(),
    Feature.EGRESS_ALLOW: Native(),
    Feature.GATEWAY: Native(),
    Feature.GATEWAY_TLS: Native(),
    Feature.RATE_LIMITING: Native(),
    Feature.RATE_LIMIT_PER_CALLER: Native(),
    Feature.FAULT_ABORT: Native(),
    Feature.FAULT_DELAY: Emulated("requests that are being delayed count as under way to the callee already"),
    Feature.HTTP2: _MULTIPLEXED,
    Feature.GRPC: Emulated(
        "a call goes on when the first piece of its first message has come, and is tried again only where that piece "
        "is all of it; a call that the application ends before its client has done sending may end as CANCELLED; "
        f"{_MULTIPLEXED.how}"
    ),
    Feature.RETRY_GRPC_STATUS: Unsupported(
        "HAProxy tries again by HTTP status, and a gRPC status stands behind an HTTP status of 200",
        "Let `retryOn` name connect-failure and reset, which any call may meet, and let the client retry by status.",
    ),
    Feature.WEBSOCKET: Native(),
    Feature.TLS_PASSTHROUGH: Native(),
    Feature.DNS_DISCOVERY: _LOOKED_UP,
    Feature.DNS_SRV_DISCOVERY: Emulated(
        "weights count in steps of 256, so that small ones are all the same; records of every priority take requests; "
        f"of two records with one target but different ports one counts; {_LOOKED_UP.how}"
    ),
    Feature.CONSUL_DISCOVERY: _LOOKED_UP,
    Feature.KUBERNETES_DISCOVERY: _LOOKED_UP,
    Feature.HEALTH_LISTENER: Native(),
    Feature.ACCESS_LOG: Emulated(
        "bytes_out counts the head too, bytes_in of a chunked body no more than its first 60 KB, and a request "
        "whose connection is closed without an answer has no line"
    ),
    Feature.ACCESS_LOG_SAMPLING: Emulated("what breaks off behind the head of an answer goes by its status"),
    Feature.ADMIN: Native(),
    Feature.METRICS: Emulated(
        "a reload begins all counts anew, and requests that are copied count as under way for as long as their copies are"
    ),
    Feature.TRACING: Emulated(
        "it sends no spans; a trace goes on with one of its own for all tries of a request, which its access log alone "
        "tells (`span_id`)"
    ),
}


def _heavy_clusters(sidecar: Sidecar) -> Iterator[Cluster]:
    for cluster in sidecar.clusters:
        if any(endpoint.weight > HEAVIEST for endpoint in cluster.endpoints):
            yield cluster


def _ejecting_streams(sidecar: Sidecar) -> Iterator[object]:
    for cluster in sidecar.clusters:
        if cluster.protocol is Protocol.TCP and cluster.outlier_detection:
            yield cluster.outlier_detection


CONFLICTS: tuple[Conflict, ...] = (
    Conflict(
        features=(Feature.OUTLIER_DETECTION, Feature.TCP),
        offenders=_ejecting_streams,
        why="HAProxy's Lua, which ejects endpoints, sees answers, and a stream of bytes has none",
        instead="Leave outlierDetection out of the TCP service.",
    ),
    Conflict(
        features=(Feature.ENDPOINT_WEIGHTS,),
        offenders=_heavy_clusters,
        why=f"HAProxy knows endpoint weights from 1 to {HEAVIEST} only, after common factors are taken out",
        instead=f"choose weights whose reduced form stays within {HEAVIEST}, such as 1 and 2 for 1000 and 2000",
    ),
)
