"""The resolved model: what each sidecar must do, in neutral words, with every decision taken.

Frozen structs. No field means "the proxy's default": resolve fills everything in.
``at`` is the place where the user wrote a thing, and None where meshctl's default applies; a place
never takes part in equality or in a digest, only whether there is one.
"""

from meshctl.ir.access_logs import AccessLog, LoggedHeader, LoggedQuery, SampledAccessLog
from meshctl.ir.authorization import Authorization, AuthorizationMode, AuthorizationRule
from meshctl.ir.circuit_breaking import CircuitBreaker
from meshctl.ir.discovery import Endpoint, SocketAddress
from meshctl.ir.egress import DnsName, Origin, OriginTls
from meshctl.ir.fault_injection import Abort, Delay, Fault
from meshctl.ir.features import Feature, FeatureUse, features_of
from meshctl.ir.filters import DirectResponse, HeaderChanges, Redirect, Rewrite
from meshctl.ir.health_checks import HealthCheck, HealthCheckKind
from meshctl.ir.jwt import ClaimMatch, EcKey, JwtAlgorithm, JwtCondition, JwtIssuer, JwtKey, RsaKey
from meshctl.ir.load_balancing import HashKey, HashOn, LoadBalancing, LoadBalancingPolicy
from meshctl.ir.matching import (
    HeaderMatch,
    PathMatch,
    PathMatchKind,
    QueryMatch,
    ValueMatchKind,
)
from meshctl.ir.mesh import (
    AdminListener,
    Cluster,
    HealthListener,
    InboundListener,
    Mesh,
    OutboundListener,
    Protocol,
    Proxy,
    Sidecar,
    SniRoute,
    TcpListener,
)
from meshctl.ir.metrics import Metrics
from meshctl.ir.mirroring import Mirror
from meshctl.ir.mtls import (
    RESERVED_LABEL,
    CertificatePolicy,
    MtlsMode,
    ServerTls,
    TlsContext,
    TlsVersion,
    WorkloadIdentity,
)
from meshctl.ir.outlier_detection import OutlierDetection
from meshctl.ir.rate_limiting import RateLimit
from meshctl.ir.retries import Backoff, PerTryTimeout, RetryBudget, RetryCondition, RetryPolicy
from meshctl.ir.routing import Route, RouteMatch, VirtualHost
from meshctl.ir.splitting import WeightedCluster
from meshctl.ir.timeouts import BodyTimeout, Timeout, duration_text
from meshctl.ir.tracing import Tracing

__all__ = [
    "RESERVED_LABEL",
    "Abort",
    "AccessLog",
    "AdminListener",
    "Authorization",
    "AuthorizationMode",
    "AuthorizationRule",
    "Backoff",
    "BodyTimeout",
    "CertificatePolicy",
    "CircuitBreaker",
    "ClaimMatch",
    "Cluster",
    "Delay",
    "DirectResponse",
    "DnsName",
    "EcKey",
    "Endpoint",
    "Fault",
    "Feature",
    "FeatureUse",
    "HashKey",
    "HashOn",
    "HeaderChanges",
    "HeaderMatch",
    "HealthCheck",
    "HealthCheckKind",
    "HealthListener",
    "InboundListener",
    "JwtAlgorithm",
    "JwtCondition",
    "JwtIssuer",
    "JwtKey",
    "LoadBalancing",
    "LoadBalancingPolicy",
    "LoggedHeader",
    "LoggedQuery",
    "Mesh",
    "Metrics",
    "Mirror",
    "MtlsMode",
    "Origin",
    "OriginTls",
    "OutboundListener",
    "OutlierDetection",
    "PathMatch",
    "PathMatchKind",
    "PerTryTimeout",
    "Protocol",
    "Proxy",
    "QueryMatch",
    "RateLimit",
    "Redirect",
    "RetryBudget",
    "RetryCondition",
    "RetryPolicy",
    "Rewrite",
    "Route",
    "RouteMatch",
    "RsaKey",
    "SampledAccessLog",
    "ServerTls",
    "Sidecar",
    "SniRoute",
    "SocketAddress",
    "TcpListener",
    "Timeout",
    "TlsContext",
    "TlsVersion",
    "Tracing",
    "ValueMatchKind",
    "VirtualHost",
    "WeightedCluster",
    "WorkloadIdentity",
    "duration_text",
    "features_of",
]
