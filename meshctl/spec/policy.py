"""The traffic policy of a service: what `defaults`, a service and a call may all say."""

from __future__ import annotations

from typing import Literal

from meshctl.spec.circuit_breaking import CircuitBreakerSpec, OutlierDetectionSpec
from meshctl.spec.failover import LocalitySpec
from meshctl.spec.health_checks import HealthCheckSpec
from meshctl.spec.http_types import Method
from meshctl.spec.load import LoadSpec
from meshctl.spec.load_balancing import LoadBalancingSpec
from meshctl.spec.network_types import Port
from meshctl.spec.rate_limiting import RateLimitSpec
from meshctl.spec.retries import RetriesSpec
from meshctl.spec.timeouts import TimeoutsSpec
from meshctl.spec.types import Given, Listed, Model


class TrafficPolicySpec(TimeoutsSpec):
    """What acts in the caller's sidecar. Later layers win: defaults, then the callee, then the call, then the route."""

    retries: Given[RetriesSpec] = None
    idempotent: Listed[list[Method]] = None
    load_balancing: Given[LoadBalancingSpec] = None
    locality: Given[LocalitySpec] = None
    circuit_breaker: Given[CircuitBreakerSpec] = None
    outlier_detection: Given[OutlierDetectionSpec] = None
    health_check: Given[HealthCheckSpec] = None


class PathPolicySpec(Model):
    """Paths that are let through although they are not canonical; no rule may go by path then."""

    encoded_slashes: Given[Literal["refuse", "allow"]] = None
    empty_segments: Given[Literal["refuse", "allow"]] = None


class ServicePolicySpec(TrafficPolicySpec):
    """What acts in the callee's own sidecar too, and so cannot stand at a call."""

    rate_limit: Given[RateLimitSpec] = None
    path_policy: Given[PathPolicySpec] = None


class DefaultsSpec(ServicePolicySpec):
    """`defaults`: any field of a service's traffic policy."""


class CallSpec(TrafficPolicySpec):
    """One entry of `calls`: the callee's traffic policy, narrowed for this caller. May be ``{}``.

    With a `localPort` the callee is on that port of the caller's loopback too, where no Host is asked for.
    """

    local_port: Given[Port] = None
    load: Given[LoadSpec] = None
