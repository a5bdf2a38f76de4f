"""What HAProxy 2.6 can do of the language, and how it differs where it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshctl.ir import Cluster, Feature, Redirect, Sidecar
from meshctl.targets.base import NOT_YET, Capability, Conflict, Emulated, Native
from meshctl.targets.haproxy.load_balancing import HEAVIEST

_HELD = Emulated(
    "a request body is held back until it is whole; what is over 60 KB is sent on at once and is tried "
    "again only while connecting fails"
)


def _keeps_ports_on_http2(sidecar: Sidecar) -> bool:
    listener = sidecar.outbound
    answers = (route.answer for host in listener.virtual_hosts for route in host.routes)
    keeps = any(isinstance(each, Redirect) and not each.port and not each.scheme for each in answers)
    return keeps and listener.tls is not None and listener.bind.port != 443


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
        "on a route without a timeout of its own, a connection that times out is answered 503 only to the "
        "first request on an application's connection; later ones see that connection closed"
    ),
    Feature.IDLE_TIMEOUT: Native(),
    Feature.RETRY_CONNECT_FAILURE: _HELD,
    Feature.RETRY_REFUSED_STREAM: Native(),
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
    Feature.MAX_CONNECTIONS: Emulated("connections that are kept without a request do not count"),
    Feature.MAX_REQUESTS: Native(),
    Feature.MTLS_STRICT: Native(),
    Feature.AUTHORIZATION_DECLARED: Native(),
    Feature.CIPHER_SUITES: Native(),
    Feature.AUTHORIZATION_EXPLICIT: Native(),
    Feature.AUTHORIZATION_OPEN: Native(),
    Feature.AUTHORIZATION_RULES: Native(),
    Feature.AUTHORIZATION_AUDIT: Native(),
    Feature.HEALTH_PATH: Native(),
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
    Feature.HEALTH_LISTENER: Native(),
    Feature.ACCESS_LOG: Emulated(
        "bytes_out counts the head too, bytes_in of a chunked body no more than its first 60 KB, and a request "
        "whose connection is closed without an answer has no line"
    ),
    Feature.ADMIN: Native(),
}


def _heavy_clusters(sidecar: Sidecar) -> Iterator[Cluster]:
    for cluster in sidecar.clusters:
        if any(endpoint.weight > HEAVIEST for endpoint in cluster.endpoints):
            yield cluster


CONFLICTS: tuple[Conflict, ...] = (
    Conflict(
        features=(Feature.ENDPOINT_WEIGHTS,),
        offenders=_heavy_clusters,
        why=f"HAProxy knows endpoint weights from 1 to {HEAVIEST} only, after common factors are taken out",
        instead=f"choose weights whose reduced form stays within {HEAVIEST}, such as 1 and 2 for 1000 and 2000",
    ),
)
