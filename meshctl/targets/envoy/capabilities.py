"""What Envoy 1.40 can do of the language, and how it differs where it does."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from meshctl.ir import Feature, HashKey, HealthCheckKind, Protocol, RetryCondition, RetryPolicy, Sidecar
from meshctl.targets.base import NOT_YET, Capability, Emulated, Native, Unsupported
from meshctl.targets.envoy.joined_headers import is_joined, is_joined_in_answers
from meshctl.targets.envoy.routes import routes

VERSION = "1.40.0"


def _matches_joined_header(sidecar: Sidecar) -> bool:
    rules = sidecar.inbound.authorization.rules if sidecar.inbound else ()
    headers = (
        *(header for route in routes(sidecar) for header in route.match.headers),
        *(header for rule in rules for header in rule.headers),
    )
    return any(is_joined(header.name) for header in headers)


def _adds_joined_header(sidecar: Sidecar) -> bool:
    return any(is_joined(name) for route in routes(sidecar) for name, _ in route.request_headers.add)


def _adds_joined_header_to_answer(sidecar: Sidecar) -> bool:
    return any(
        is_joined_in_answers(name) for route in routes(sidecar) for name, _ in route.response_headers.add
    )


def _breaks_off(retries: RetryPolicy) -> bool:
    return retries.retries_on(RetryCondition.RESET) or retries.retries_on(RetryCondition.SERVER_ERROR)


def _retries_more_than_resets(sidecar: Sidecar) -> bool:
    return any(
        _breaks_off(its)
        and (
            not its.retries_on(RetryCondition.CONNECT_FAILURE)
            or (its.per_try_timeout.duration and not its.retries_on(RetryCondition.PER_TRY_TIMEOUT))
        )
        for its in (route.retries for route in routes(sidecar))
    )


def _retries_more_than_slow_tries(sidecar: Sidecar) -> bool:
    return any(
        its.retries_on(RetryCondition.PER_TRY_TIMEOUT)
        and not (_breaks_off(its) and its.retries_on(RetryCondition.CONNECT_FAILURE))
        for its in (route.retries for route in routes(sidecar))
    )


def _tries_within_a_timeout(sidecar: Sidecar) -> bool:
    return any(its.retries.per_try_timeout.duration and its.retries.attempts for its in routes(sidecar))


def _budgets_differ(sidecar: Sidecar) -> bool:
    budgets: dict[str, set[object]] = {}
    for route in routes(sidecar):
        for backend in route.backends:
            share = route.retries.budget.share if route.retries.budget else None
            if route.retries.attempts:
                budgets.setdefault(backend.cluster.partition(".")[0], set()).add((backend.cluster, share))
    return any(len(each) > 1 for each in budgets.values())


def _refuses_streams(sidecar: Sidecar) -> bool:
    inbound = sidecar.inbound
    if inbound is None or inbound.protocol is not Protocol.TCP or inbound.authorization.audit:
        return False
    its = inbound.authorization
    return bool(its.deny) or not any(rule.anyone for rule in its.rules)


def _hashes_joined_header(sidecar: Sidecar) -> bool:
    keys = (cluster.load_balancing.hash_on for cluster in sidecar.clusters)
    return any(on is not None and on.key is HashKey.HEADER and is_joined(on.name) for on in keys)


def _bounds_retries_twice(sidecar: Sidecar) -> bool:
    bounded = {each.name for each in sidecar.clusters if each.circuit_breaker.max_retries is not None}
    return any(
        route.retries.budget and not bounded.isdisjoint(backend.cluster for backend in route.backends)
        for route in routes(sidecar)
    )


def _counts_grpc_checks(sidecar: Sidecar) -> bool:
    checks = (each.health_check for each in sidecar.clusters)
    return any(
        check and check.kind is HealthCheckKind.GRPC and check.unhealthy_threshold > 1 for check in checks
    )


def _delays_uploads(sidecar: Sidecar) -> bool:
    delayed = ((route, route.fault.delay) for route in routes(sidecar) if route.fault)
    return any(
        delay is not None and timedelta(0) < route.body_timeout.duration < delay.duration
        for route, delay in delayed
    )


def _ejects_names(sidecar: Sidecar) -> bool:
    return any(each.outlier_detection and each.dns for each in sidecar.clusters)


_JOINS = (
    "repeated lines of headers that Envoy joins as it reads them (such as accept, authorization and "
    "x-forwarded-for) are compared as the one line that they become"
)
_ADDS = "`add` to a header that Envoy keeps in one line (such as accept, cache-control and etag) goes into that line"
_ALL_RESETS = (
    "to Envoy these are one: a connection that cannot be made, one that breaks off, and a try that takes longer "
    "than the per-try timeout are all tried again"
)

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
    Feature.HEADER_MATCH: Emulated(_JOINS, applies=_matches_joined_header),
    Feature.HEADER_REGEX: Emulated(_JOINS, applies=_matches_joined_header),
    Feature.HEADER_PRESENT: Native(),
    Feature.QUERY_MATCH: Native(),
    Feature.QUERY_REGEX: Native(),
    Feature.QUERY_PRESENT: Native(),
    Feature.CALLER_MATCH: Native(),
    Feature.PATH_GATE: Native(),
    Feature.WEIGHTED_SPLITTING: Native(),
    Feature.REDIRECT: Native(),
    Feature.DIRECT_RESPONSE: Native(),
    Feature.PATH_REWRITE: Native(),
    Feature.HOST_REWRITE: Native(),
    Feature.REQUEST_HEADERS: Emulated(_ADDS, applies=_adds_joined_header),
    Feature.RESPONSE_HEADERS: Emulated(_ADDS, applies=_adds_joined_header_to_answer),
    Feature.TIMEOUT: Native(),
    Feature.PER_TRY_TIMEOUT: Emulated(
        "once an answer has begun, only `timeout` bounds the rest of it; making the connection has time for itself "
        "(`connectTimeout`, or the longest `perTryTimeout` of the callee's routes where each has one and `attempts` "
        "and it gets no copies) and counts as connect-failure when that is over",
        applies=_tries_within_a_timeout,
    ),
    Feature.BODY_TIMEOUT: Emulated(
        "a request without x-forwarded-proto reaches the callee with one that tells the scheme"
    ),
    Feature.STREAMING: Native(),
    Feature.CONNECT_TIMEOUT: Native(),
    Feature.IDLE_TIMEOUT: Native(),
    Feature.RETRY_CONNECT_FAILURE: Native(),
    Feature.RETRY_REFUSED_STREAM: Native(),
    Feature.RETRY_RESET: Emulated(_ALL_RESETS, applies=_retries_more_than_resets),
    Feature.RETRY_GATEWAY_ERROR: Native(),
    Feature.RETRY_SERVER_ERROR: Emulated(_ALL_RESETS, applies=_retries_more_than_resets),
    Feature.RETRY_STATUS: Native(),
    Feature.RETRY_PER_TRY_TIMEOUT: Emulated(_ALL_RESETS, applies=_retries_more_than_slow_tries),
    Feature.RETRY_NON_IDEMPOTENT: Native(),
    Feature.IDEMPOTENT_METHODS: Native(),
    Feature.RETRY_BACKOFF: Native(),
    Feature.RETRY_BUDGET: Emulated(
        "it is counted for each subset by itself, and where routes to one subset have different budgets, or "
        "none, the smallest holds for all of them",
        applies=_budgets_differ,
    ),
    Feature.ROUND_ROBIN: Native(),
    Feature.MAX_CONNECTIONS: Emulated("connections that are kept without a request do not count"),
    Feature.MAX_REQUESTS: Native(),
    Feature.MTLS_STRICT: Native(),
    Feature.MTLS_PERMISSIVE: Native(),
    Feature.MTLS_DISABLED: Native(),
    Feature.CIPHER_SUITES: Native(),
    Feature.REVOCATION: Native(),
    Feature.AUTHORIZATION_DECLARED: Native(),
    Feature.AUTHORIZATION_EXPLICIT: Native(),
    Feature.AUTHORIZATION_OPEN: Native(),
    Feature.AUTHORIZATION_RULES: Native(),
    Feature.AUTHORIZATION_AUDIT: Native(),
    Feature.HEALTH_PATH: Native(),
    Feature.JWT: Native(),
    Feature.IDENTITY_HEADER: Native(),
    Feature.DEAD_APPLICATION: Native(),
    Feature.TCP: Native(),
    Feature.LOCAL_PORT: Native(),
    Feature.EXTERNALS: Native(),
    Feature.TLS_ORIGINATION: Native(),
    Feature.WILDCARD_EXTERNALS: Native(),
    Feature.EGRESS_ALLOW: Native(),
    Feature.GATEWAY: Native(),
    Feature.GATEWAY_TLS: Native(),
    Feature.HEALTH_LISTENER: Native(),
    Feature.ACCESS_LOG: Emulated(
        "who may not open a stream (`protocol: tcp`) is refused in the TLS handshake, and the line about it names "
        "no caller",
        applies=_refuses_streams,
    ),
    Feature.ACCESS_LOG_SAMPLING: Native(),
    Feature.ADMIN: Native(),
    Feature.TRACING: Native(),
    Feature.METRICS: Native(),
    Feature.MIRRORING: Native(),
    Feature.FAULT_ABORT: Native(),
    Feature.FAULT_DELAY: Emulated(
        "an upload over 1 MiB that the delay holds up for longer than its `bodyTimeout` is answered 408",
        applies=_delays_uploads,
    ),
    Feature.LEAST_REQUEST: Native(),
    Feature.RANDOM: Native(),
    Feature.RING_HASH: Native(),
    Feature.HASH_ON_HEADER: Emulated(_JOINS, applies=_hashes_joined_header),
    Feature.HASH_ON_COOKIE: Native(),
    Feature.HASH_ON_SOURCE_ADDRESS: Native(),
    Feature.LOCALITY: Native(),
    Feature.MAX_PENDING: Emulated(
        "a request for which a connection is being made counts as one that waits, and each of the two worker threads "
        "has at least one connection to every endpoint, over `maxConnections` if need be"
    ),
    Feature.MAX_RETRIES: Emulated(
        "where a route has a retry budget too, that one holds instead", applies=_bounds_retries_twice
    ),
    Feature.OUTLIER_DETECTION: Emulated(
        "of endpoints that are looked up, none is ejected where one would be more than `maxEjectionPercent`",
        applies=_ejects_names,
    ),
    Feature.HEALTH_CHECK_HTTP: Native(),
    Feature.HEALTH_CHECK_GRPC: Emulated(
        "an answer that is not SERVING takes an endpoint out at once; `unhealthyThreshold` counts connections that fail "
        "and answers that do not come",
        applies=_counts_grpc_checks,
    ),
    Feature.HEALTH_CHECK_TCP: Native(),
    Feature.RATE_LIMITING: Native(),
    Feature.RATE_LIMIT_PER_CALLER: Native(),
    Feature.HTTP2: Native(),
    Feature.GRPC: Native(),
    Feature.RETRY_GRPC_STATUS: Native(),
    Feature.WEBSOCKET: Native(),
    Feature.TLS_PASSTHROUGH: Native(),
    Feature.DNS_DISCOVERY: Native(),
    Feature.DNS_SRV_DISCOVERY: Unsupported(
        "Envoy looks up addresses only, no SRV records",
        "Use `discovery.dns` with one port for all instances, list the endpoints, or let the callers use haproxy.",
    ),
    Feature.CONSUL_DISCOVERY: Native(),
    Feature.KUBERNETES_DISCOVERY: Native(),
}
