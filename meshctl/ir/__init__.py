"""The resolved model: what each sidecar must do, in neutral words, with every decision taken.

Frozen, slotted dataclasses. No field means "the proxy's default": resolve fills everything in.
``at`` is the place where the user wrote a thing, and None where meshctl's default applies; a place
never takes part in equality or in a digest, only whether there is one.
"""

from meshctl.ir.access_logs import AccessLog
from meshctl.ir.authorization import Authorization, AuthorizationMode, AuthorizationRule
from meshctl.ir.circuit_breaking import CircuitBreaker
from meshctl.ir.discovery import Endpoint, SocketAddress
from meshctl.ir.features import Feature, FeatureUse, features_of
from meshctl.ir.load_balancing import LoadBalancing, LoadBalancingPolicy
from meshctl.ir.mesh import (
    AdminListener,
    Cluster,
    InboundListener,
    Mesh,
    OutboundListener,
    Proxy,
    Sidecar,
)
from meshctl.ir.mtls import CertificatePolicy, TlsContext, TlsVersion, WorkloadIdentity
from meshctl.ir.retries import RetryCondition, RetryPolicy
from meshctl.ir.routing import HeaderMatch, PathMatch, PathMatchKind, Route, RouteMatch, VirtualHost
from meshctl.ir.splitting import WeightedCluster
from meshctl.ir.timeouts import Timeout, duration_text

__all__ = [
    "AccessLog",
    "AdminListener",
    "Authorization",
    "AuthorizationMode",
    "AuthorizationRule",
    "CertificatePolicy",
    "CircuitBreaker",
    "Cluster",
    "Endpoint",
    "Feature",
    "FeatureUse",
    "HeaderMatch",
    "InboundListener",
    "LoadBalancing",
    "LoadBalancingPolicy",
    "Mesh",
    "OutboundListener",
    "PathMatch",
    "PathMatchKind",
    "Proxy",
    "RetryCondition",
    "RetryPolicy",
    "Route",
    "RouteMatch",
    "Sidecar",
    "SocketAddress",
    "Timeout",
    "TlsContext",
    "TlsVersion",
    "VirtualHost",
    "WeightedCluster",
    "WorkloadIdentity",
    "duration_text",
    "features_of",
]
