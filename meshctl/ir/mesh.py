"""The mesh as a whole: one Sidecar per bundle, and nothing in it that this sidecar does not need."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from meshctl.ir.access_logs import AccessLog
from meshctl.ir.authorization import Authorization
from meshctl.ir.circuit_breaking import CircuitBreaker
from meshctl.ir.discovery import Endpoint, SocketAddress
from meshctl.ir.features import FeatureUse
from meshctl.ir.load_balancing import LoadBalancing
from meshctl.ir.mtls import CertificatePolicy, TlsContext, WorkloadIdentity
from meshctl.ir.routing import VirtualHost

HOP_STATUS = 425
"""Between two sidecars this status means: the application could not be reached and saw nothing."""

CARRIED_STATUS = 470
"""Between two sidecars this status stands for an application's own HOP_STATUS, see STATUS_HEADER."""

STATUS_HEADER = "x-mesh-status"
"""Between two sidecars: the status that an application really answered. Never reaches anyone else."""

IDENTITY_HEADER = "x-mesh-identity"
"""What the inbound sidecar tells its application: the caller's SPIFFE id."""

UNTRUSTED_HEADERS = (IDENTITY_HEADER, "x-forwarded-client-cert")
"""Removed from every inbound request in all spellings that map to them (``_`` and ``.`` for ``-``)."""


class Proxy(StrEnum):
    """The programs that a sidecar can be."""

    ENVOY = "envoy"
    HAPROXY = "haproxy"
    NGINX = "nginx"


@dataclass(frozen=True, slots=True)
class Cluster:
    """The endpoints of a callee, or of one of its subsets, and how this caller speaks to them.

    The hop is HTTP/1.1 over mutual TLS. No endpoint: the answer is 503.
    """

    name: str
    identity: WorkloadIdentity
    endpoints: tuple[Endpoint, ...]
    connect_timeout: timedelta
    idle_timeout: timedelta
    load_balancing: LoadBalancing
    circuit_breaker: CircuitBreaker
    asks: tuple[FeatureUse, ...] = field(default=(), compare=False)
    """What the user wrote about plain values above, which have no place of their own."""


@dataclass(frozen=True, slots=True)
class OutboundListener:
    """Where the application reaches its own sidecar, in plain HTTP.

    A host that is no virtual host: 403 when it is a single label or ends in ``.<domain>``, else 404.
    """

    bind: SocketAddress
    domain: str
    virtual_hosts: tuple[VirtualHost, ...]
    idle_timeout: timedelta


@dataclass(frozen=True, slots=True)
class InboundListener:
    """Where other sidecars reach this one, over mutual TLS, and the application behind it.

    Only certificates of the mesh's CA with a name in its trust domain get through the handshake. The
    application never gets a time limit here, but ``idle_timeout``: its caller's sidecar keeps the time.
    """

    bind: SocketAddress
    application: SocketAddress
    authorization: Authorization
    connect_timeout: timedelta
    idle_timeout: timedelta


@dataclass(frozen=True, slots=True)
class AdminListener:
    """``GET /ready`` answers 200 when the sidecar serves; ``GET /build`` tells which build it runs."""

    bind: SocketAddress


@dataclass(frozen=True, slots=True)
class Sidecar:
    """Everything that an emitter may know."""

    mesh: str
    service: str
    instance: str
    """The folder under the service's that holds this bundle; empty where all endpoints share one."""
    proxy: Proxy
    identity: WorkloadIdentity
    tls: TlsContext
    inbound: InboundListener | None
    outbound: OutboundListener
    admin: AdminListener
    clusters: tuple[Cluster, ...]
    access_log: AccessLog
    build: str = ""
    """``sha256:…`` of all the rest, so that a change elsewhere in the mesh leaves it alone."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """The resolved mesh, sidecars sorted by service and instance."""

    name: str
    domain: str
    trust_domain: str
    certificates: CertificatePolicy
    sidecars: tuple[Sidecar, ...]
    calls: tuple[tuple[str, str], ...]
    """Every call that the spec declares as (caller, callee), sorted. A callee's routes can lead on to
    other services; those pairs are here too."""
