"""What holds where the spec is silent, in words, from the constants that resolve goes by.

An empty text stands for a setting that is shown only where it is written.
"""

from __future__ import annotations

from meshctl.ir import duration_text
from meshctl.resolve import (
    circuit_breaking,
    discovery,
    health_checks,
    mtls,
    outlier_detection,
    placements,
    retries,
    timeouts,
)
from meshctl.resolve.proxies import DEFAULT_PROXY

_OFF = "off"
_NONE = "none"


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(values)


def _limit(text: str) -> str:
    return _OFF if text == "0s" else text


OF_REQUESTS = {
    "timeout": _limit(duration_text(timeouts.DEFAULT_TIMEOUT)),
    "bodyTimeout": _limit(duration_text(timeouts.DEFAULT_BODY_TIMEOUT)),
    "streaming": "false",
    "retries.attempts": str(retries.DEFAULT_ATTEMPTS),
    "retries.retryOn": _listed(tuple(retries.DEFAULT_CONDITIONS)),
    "retries.perTryTimeout": _OFF,
    "retries.backoff": "as the proxy has it",
    "retries.budget": _NONE,
    "retries.nonIdempotent": "false",
    "idempotent": _listed(retries.IDEMPOTENT_METHODS),
}
"""What bounds a request."""

OFF_IN_STREAMS = frozenset({"timeout", "bodyTimeout", "retries.perTryTimeout"})

_OF_CLUSTERS = {
    "connectTimeout": duration_text(timeouts.DEFAULT_CONNECT_TIMEOUT),
    "idleTimeout": duration_text(timeouts.DEFAULT_IDLE_TIMEOUT),
    "loadBalancing": "policy: round-robin",
    "circuitBreaker.maxConnections": str(circuit_breaking.DEFAULT_MAX_CONNECTIONS),
    "circuitBreaker.maxRequests": str(circuit_breaking.DEFAULT_MAX_REQUESTS),
    "circuitBreaker.maxPendingRequests": "nobody waits",
    "circuitBreaker.maxRetries": "as maxRequests",
    "locality": _OFF,
    "locality.preferSameZone": "false",
    "locality.failover": _NONE,
    "outlierDetection": _OFF,
    "outlierDetection.consecutiveErrors": str(outlier_detection.DEFAULT_CONSECUTIVE_ERRORS),
    "outlierDetection.interval": duration_text(outlier_detection.DEFAULT_INTERVAL),
    "outlierDetection.baseEjectionTime": duration_text(outlier_detection.DEFAULT_EJECTION_TIME),
    "outlierDetection.maxEjectionPercent": f"{outlier_detection.DEFAULT_MAX_EJECTED * 100}%",
    "healthCheck": _OFF,
    "healthCheck.http": "",
    "healthCheck.grpc": "",
    "healthCheck.tcp": "",
    "healthCheck.interval": duration_text(health_checks.DEFAULT_INTERVAL),
    "healthCheck.timeout": duration_text(health_checks.DEFAULT_TIMEOUT),
    "healthCheck.unhealthyThreshold": str(health_checks.DEFAULT_UNHEALTHY_THRESHOLD),
    "healthCheck.healthyThreshold": str(health_checks.DEFAULT_HEALTHY_THRESHOLD),
}
_OF_CALLEES = {
    "rateLimit": _OFF,
    "rateLimit.requests": "",
    "rateLimit.per": "",
    "rateLimit.burst": "as requests",
    "rateLimit.key": "all callers together",
    "pathPolicy": _NONE,
}
ROUTE = {**OF_REQUESTS, "mirror": _NONE, "fault.delay": _NONE, "fault.abort": _NONE}
CALLEE = {**OF_REQUESTS, **_OF_CLUSTERS, **_OF_CALLEES}
CALL = {**OF_REQUESTS, **_OF_CLUSTERS, "localPort": _NONE, "load": _NONE}
EXTERNAL = {
    "hosts": "",
    "port": "",
    "protocol": "http",
    "endpoints": "",
    "tls": _NONE,
    **OF_REQUESTS,
    **_OF_CLUSTERS,
}
_OF_SIDECARS = {
    "proxy": DEFAULT_PROXY.value,
    "admin.port": str(placements.DEFAULT_ADMIN_PORT),
    "admin.address": placements.LOOPBACK,
    "health.port": "",
    "health.address": "",
}
SERVICE = {
    "owner": "",
    "labels": "",
    "zone": "",
    "protocol": "http",
    "port": "",
    "ports": "",
    "appAddress": placements.LOOPBACK,
    "healthPath": _NONE,
    "endpoints": "",
    "discovery": _NONE,
    "bind": "shared",
    **_OF_SIDECARS,
    "inbound.port": str(discovery.DEFAULT_INBOUND_PORT),
    "inbound.address": placements.EVERYWHERE,
    "outbound.port": str(placements.DEFAULT_OUTBOUND_PORT),
    "outbound.address": placements.LOOPBACK,
    "routeOrder": "specificity",
    "allow": "",
    "deny": "",
    **CALLEE,
}
GATEWAY = {
    "owner": "",
    "labels": "",
    "zone": "",
    "bind": placements.EVERYWHERE,
    "port": "",
    "endpoints": "",
    "hostnames": "any",
    "tls": _NONE,
    **_OF_SIDECARS,
    "routeOrder": "specificity",
}
MESH = {
    "name": "",
    "requires": _NONE,
    "domain": "",
    "trustDomain": "",
    "bind": "shared",
    **_OF_SIDECARS,
    "inbound.port": str(discovery.DEFAULT_INBOUND_PORT),
    "inbound.address": placements.EVERYWHERE,
    "outbound.port": str(placements.DEFAULT_OUTBOUND_PORT),
    "outbound.address": placements.LOOPBACK,
    "mtls.mode": "strict",
    "mtls.minVersion": "1.3",
    "mtls.cipherSuites": "",
    "mtls.crl": "false",
    "authorization.mode": "declared",
    "authorization.audit": "false",
    "certificates.lifetime": duration_text(mtls.DEFAULT_LIFETIME),
    "certificates.renewBefore": duration_text(mtls.DEFAULT_RENEW_BEFORE),
    "certificates.keyType": "ecdsa-p256",
    "egress": "deny",
    "resolvers": _NONE,
    "accessLog.format": "json",
    "accessLog.redact": _NONE,
    "tracing": _OFF,
    "metrics": _OFF,
    "jwt": _NONE,
}

WHOLE = frozenset(
    {
        "accessLog.redact",
        "discovery",
        "fault.abort",
        "fault.delay",
        "healthCheck.grpc",
        "healthCheck.http",
        "healthCheck.tcp",
        "jwt",
        "labels",
        "loadBalancing",
        "metrics",
        "pathPolicy",
        "ports",
        "retries.backoff",
        "tls",
        "tracing",
    }
)
"""Settings that are shown as one although they are mappings."""

OPTIONAL = frozenset({"healthCheck", "locality", "outlierDetection", "rateLimit"})
"""Mappings that are off where nobody writes them; their parts have defaults where somebody does."""

ALTERNATIVES = ("healthCheck.http", "healthCheck.grpc", "healthCheck.tcp")
"""Of these only what the most particular layer says holds."""

UNMERGED = "rateLimit"
"""A mapping that the most particular layer says as a whole."""
