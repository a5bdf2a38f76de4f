"""The features that a target may or may not have, and the walk that finds those a sidecar uses."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import cache
from typing import Any, get_args, get_type_hints

from msgspec import Struct

from meshctl.diagnostics import Position


class Feature(StrEnum):
    """One row of the capability table each. The value is the name that users see."""

    STATIC_DISCOVERY = "static endpoints"
    ENDPOINT_WEIGHTS = "endpoint weights"
    IPV6 = "IPv6"
    HOST_ROUTING = "routing by host"
    WILDCARD_HOSTS = "wildcard hostnames"
    PATH_EXACT = "exact path match"
    PATH_PREFIX = "path prefix match"
    PATH_REGEX = "path regex match"
    METHOD_MATCH = "method match"
    HEADER_MATCH = "exact header match"
    HEADER_REGEX = "header regex match"
    HEADER_PRESENT = "header presence match"
    QUERY_MATCH = "exact query match"
    QUERY_REGEX = "query regex match"
    QUERY_PRESENT = "query presence match"
    CALLER_MATCH = "caller match"
    PATH_GATE = "path gate"
    WEIGHTED_SPLITTING = "weighted splitting"
    REDIRECT = "redirect"
    DIRECT_RESPONSE = "direct response"
    PATH_REWRITE = "path rewrite"
    HOST_REWRITE = "host rewrite"
    REQUEST_HEADERS = "request header changes"
    RESPONSE_HEADERS = "response header changes"
    TIMEOUT = "timeout"
    PER_TRY_TIMEOUT = "per-try timeout"
    BODY_TIMEOUT = "body timeout"
    STREAMING = "streaming"
    CONNECT_TIMEOUT = "connect timeout"
    IDLE_TIMEOUT = "idle timeout"
    RETRY_CONNECT_FAILURE = "retry on connect-failure"
    RETRY_REFUSED_STREAM = "retry on refused-stream"
    RETRY_RESET = "retry on reset"
    RETRY_GATEWAY_ERROR = "retry on gateway-error"
    RETRY_SERVER_ERROR = "retry on 5xx"
    RETRY_STATUS = "retry on a status code"
    RETRY_PER_TRY_TIMEOUT = "retry on per-try-timeout"
    RETRY_NON_IDEMPOTENT = "retry of methods that are not idempotent"
    IDEMPOTENT_METHODS = "idempotent methods"
    RETRY_BACKOFF = "retry backoff"
    RETRY_BUDGET = "retry budget"
    ROUND_ROBIN = "round-robin balancing"
    MAX_CONNECTIONS = "max connections"
    MAX_REQUESTS = "max requests"
    MTLS_STRICT = "strict mTLS"
    MTLS_PERMISSIVE = "permissive mTLS"
    MTLS_DISABLED = "disabled mTLS"
    CIPHER_SUITES = "cipher suites"
    REVOCATION = "certificate revocation"
    AUTHORIZATION_DECLARED = "authorization by declared calls"
    AUTHORIZATION_EXPLICIT = "authorization by the callee"
    AUTHORIZATION_OPEN = "open authorization"
    AUTHORIZATION_RULES = "allow and deny rules"
    AUTHORIZATION_AUDIT = "authorization audit"
    HEALTH_PATH = "health path past authorization"
    JWT = "JWT"
    IDENTITY_HEADER = "identity header"
    DEAD_APPLICATION = "dead application behind a live sidecar"
    TCP = "TCP services"
    LOCAL_PORT = "local ports"
    EXTERNALS = "externals"
    TLS_ORIGINATION = "TLS to externals"
    WILDCARD_EXTERNALS = "externals by wildcard"
    EGRESS_ALLOW = "egress to any host"
    GATEWAY = "gateways"
    GATEWAY_TLS = "TLS of gateways"
    HEALTH_LISTENER = "health listener"
    ACCESS_LOG = "JSON access log"
    ACCESS_LOG_SAMPLING = "access log sampling"
    ADMIN = "readiness and build id"
    TRACING = "spans to OTLP"
    METRICS = "Prometheus metrics"
    MIRRORING = "mirroring"
    FAULT_ABORT = "fault abort"
    FAULT_DELAY = "fault delay"
    LEAST_REQUEST = "least-request balancing"
    RANDOM = "random balancing"
    RING_HASH = "ring-hash balancing"
    HASH_ON_HEADER = "hash on a header"
    HASH_ON_COOKIE = "hash on a cookie"
    HASH_ON_SOURCE_ADDRESS = "hash on the source address"
    LOCALITY = "locality preference and failover"
    MAX_PENDING = "max pending requests"
    MAX_RETRIES = "max retries"
    OUTLIER_DETECTION = "outlier detection"
    HEALTH_CHECK_HTTP = "health checks by HTTP"
    HEALTH_CHECK_GRPC = "health checks by gRPC"
    HEALTH_CHECK_TCP = "health checks by TCP"
    RATE_LIMITING = "rate limit"
    RATE_LIMIT_PER_CALLER = "rate limit per caller"
    HTTP2 = "HTTP/2 applications"
    GRPC = "gRPC applications"
    RETRY_GRPC_STATUS = "retry on a gRPC status"
    WEBSOCKET = "WebSocket"
    TLS_PASSTHROUGH = "TLS pass-through by SNI"
    DNS_DISCOVERY = "discovery by DNS addresses"
    DNS_SRV_DISCOVERY = "discovery by DNS SRV"
    CONSUL_DISCOVERY = "discovery by Consul's DNS"
    KUBERNETES_DISCOVERY = "discovery by Kubernetes' DNS"
    # --- of the language, and lowered by no target yet: see targets.base.NOT_YET ---
    PATH_POLICY = "path policy"
    SEVERAL_PORTS = "several ports"


class FeatureUse(Struct, frozen=True):
    """A feature that the user asked for, and where."""

    feature: Feature
    at: Position


class Needs(Struct, frozen=True):
    """Annotates a field of the model: what its value needs, whenever the user wrote the object."""

    choose: Callable[[Any], tuple[Feature, ...]]


def needs(*features: Feature) -> Needs:
    """The field needs ``features`` when it holds anything."""
    return Needs(lambda value: features if value else ())


Known = dict[int, tuple[FeatureUse, ...]]
"""The uses of parts of a model that lives as long as this does, by ``id``."""


def features_of(root: object, known: Known | None = None) -> tuple[FeatureUse, ...]:
    """Every feature that ``root`` uses because the user wrote it, with the place of the writing.

    An object without a place is a default of ours and asks for nothing: defaults only use what
    every target can do. What sidecars share is walked once where all of them give the same ``known``.
    """
    return _uses(root, {} if known is None else known)


def _uses(part: Any, known: Known) -> tuple[FeatureUse, ...]:  # noqa: ANN401 - any part of the model
    uses = known.get(id(part))
    if uses is None:
        uses = known[id(part)] = tuple(_found(part, known))
    return uses


def _found(part: Any, known: Known) -> list[FeatureUse]:  # noqa: ANN401 - any part of the model
    kind: type = type(part)
    found: list[FeatureUse] = []
    if kind is tuple:
        for item in part:
            found += _uses(item, known)
    elif kind is FeatureUse:
        found.append(part)
    else:
        at = getattr(part, "at", None)
        for name, needed, leads_on in _fields(kind) if at is not None else _leading(kind):
            inner = getattr(part, name)
            if needed is not None and at is not None:
                found += [FeatureUse(feature, at) for feature in needed.choose(inner)]
            if leads_on and inner:
                found += _uses(inner, known)
    return found


_Field = tuple[str, Needs | None, bool]


@cache
def _fields(kind: type) -> tuple[_Field, ...]:
    """The fields of a class that can lead to a feature: what they need, and whether to go on below."""
    if not issubclass(kind, Struct):
        return ()
    hints = get_type_hints(kind, include_extras=True)
    rows = (
        (
            name,
            next((extra for extra in get_args(hints[name]) if isinstance(extra, Needs)), None),
            _leads_on(hints[name]),
        )
        for name in kind.__struct_fields__
        if name != "at"
    )
    return tuple(row for row in rows if row[1] is not None or row[2])


@cache
def _leading(kind: type) -> tuple[_Field, ...]:
    """Those of them that matter where nobody wrote the whole."""
    return tuple(row for row in _fields(kind) if row[2])


@cache
def _leads_on(hint: object) -> bool:
    """Whether a value of this type can hold an object that has a place."""
    if hint is FeatureUse:
        return True
    if isinstance(hint, type) and issubclass(hint, Struct):
        hints = get_type_hints(hint, include_extras=True)
        return "at" in hints or any(_leads_on(each) for each in hints.values())
    return any(_leads_on(each) for each in get_args(hint) if not isinstance(each, Needs))
