"""What holds where the spec is silent, in words, from the constants that resolve goes by.

An empty text stands for a setting that is shown only where it is written.
"""

from __future__ import annotations

from meshctl.ir import duration_text
from meshctl.resolve import circuit_breaking, discovery, mtls, placements, retries, timeouts
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
    "circuitBreaker.maxPendingRequests": _NONE,
    "circuitBreaker.maxRetries": _NONE,
    "locality": _OFF,
    "outlierDetection": _OFF,
    "healthCheck": _OFF,
}
ROUTE = OF_REQUESTS
CALLEE = {**OF_REQUESTS, **_OF_CLUSTERS, "rateLimit": _OFF, "pathPolicy": _NONE}
CALL = {**OF_REQUESTS, **_OF_CLUSTERS, "localPort": _NONE}
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
    "jwt": _NONE,
}

WHOLE = frozenset(
    {
        "accessLog.redact",
        "discovery",
        "healthCheck",
        "jwt",
        "labels",
        "loadBalancing",
        "locality",
        "outlierDetection",
        "pathPolicy",
        "ports",
        "rateLimit",
        "retries.backoff",
        "tls",
        "tracing",
    }
)
"""Settings that are shown as one although they are mappings."""
