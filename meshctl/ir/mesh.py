"""The mesh as a whole: one Sidecar per bundle, and nothing in it that this sidecar does not need."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from msgspec import Struct

from meshctl.diagnostics import Position
from meshctl.ir.access_logs import AccessLog
from meshctl.ir.authorization import Authorization
from meshctl.ir.circuit_breaking import CircuitBreaker
from meshctl.ir.discovery import Endpoint, SocketAddress
from meshctl.ir.egress import DnsName, Origin
from meshctl.ir.features import Feature, FeatureUse, needs
from meshctl.ir.health_checks import HealthCheck
from meshctl.ir.load_balancing import LoadBalancing
from meshctl.ir.metrics import Metrics
from meshctl.ir.mtls import CertificatePolicy, MtlsMode, ServerTls, TlsContext, WorkloadIdentity
from meshctl.ir.outlier_detection import OutlierDetection
from meshctl.ir.rate_limiting import RateLimit
from meshctl.ir.routing import Route, VirtualHost
from meshctl.ir.tracing import Tracing
from meshctl.ir.written import Written

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


class Protocol(StrEnum):
    """What an application speaks with its own sidecar, and with it what goes over the hop to it.

    HTTP is HTTP/1.1, on the hop too; WebSocket upgrades pass. HTTP2 is HTTP/2 by prior knowledge (h2c), on the hop
    HTTP/2 inside the mutual TLS. GRPC is the same, with trailers, and what sidecars answer by themselves has the
    shape of gRPC. TCP is bytes. Callers of HTTP2 and GRPC may speak HTTP/1.1 or h2c with their own sidecar.
    """

    HTTP = "http"
    HTTP2 = "http2"
    GRPC = "grpc"
    TCP = "tcp"

    @property
    def multiplexed(self) -> bool:
        """Whether it is HTTP/2, on the hop and with the application."""
        return self in (Protocol.HTTP2, Protocol.GRPC)


class Cluster(Written, frozen=True):
    """The endpoints of a callee, or of one of its subsets, or of an external, and how to speak to them.

    A callee in the mesh has an ``identity``: the hop is HTTP/1.1 or HTTP/2 (or, with TCP, the bare stream) over mutual
    TLS, see Protocol; with ``plaintext`` it is the same without TLS, and nobody is known on it.
    Otherwise ``origin`` says how the external is spoken to, and nothing of the mesh's own goes there: no client
    certificate, no hop status, no header of ours. Endpoints come from ``endpoints``, or from asking ``dns`` again
    and again; of a callee in the mesh it names the sidecars. Neither: the answer is 503, or a closed connection.
    """

    name: str
    identity: WorkloadIdentity | None
    endpoints: tuple[Endpoint, ...]
    connect_timeout: timedelta
    idle_timeout: timedelta
    load_balancing: LoadBalancing
    circuit_breaker: CircuitBreaker
    outlier_detection: OutlierDetection | None = None
    health_check: HealthCheck | None = None
    protocol: Protocol = Protocol.HTTP
    origin: Origin | None = None
    dns: DnsName | None = None
    plaintext: bool = False
    asks: tuple[FeatureUse, ...] = ()
    """What the user wrote about plain values above, which have no place of their own."""

    @property
    def workload(self) -> WorkloadIdentity:
        """The callee's identity. Raises ValueError for an external, which has none."""
        if self.identity is None:
            raise ValueError(self.name)
        return self.identity


class OutboundListener(Struct, frozen=True):
    """Plain HTTP/1.1 (TLS where ``tls`` is set) from those for whom this sidecar speaks.

    The application's own listener is on loopback, and so is one for each `localPort` (whose only virtual host
    takes every host). A gateway's listener faces the world. A host that is no virtual host is answered 404; but
    with a ``domain``, 403 when it is a single label or ends in ``.<domain>``, and otherwise, with ``egress``, it is
    sent through that cluster. With ``http2`` it takes HTTP/2 too, by prior knowledge (``tls`` offers it by ALPN
    anyhow). Targets in absolute form (a client that uses the listener as its http_proxy) are
    taken like those in origin form; CONNECT is refused.
    """

    binds: tuple[SocketAddress, ...]
    domain: str
    virtual_hosts: tuple[VirtualHost, ...]
    idle_timeout: timedelta
    tls: ServerTls | None = None
    egress: Route | None = None
    """Where requests to unknown hosts outside the mesh go: its only backend is a cluster whose ``dns`` follows
    the request's host."""
    http2: bool = False

    @property
    def bind(self) -> SocketAddress:
        """The first address; where only one is possible, the only one."""
        return self.binds[0]


class SniRoute(Written, frozen=True):
    """Connections whose TLS asks for one of these names (lower case; none stands in two routes of a listener)."""

    hostnames: Annotated[tuple[str, ...], needs(Feature.TLS_PASSTHROUGH)]
    service: str
    cluster: str
    at: Position | None = None


class TcpListener(Written, frozen=True):
    """On loopback: every connection goes to ``cluster``, byte for byte. No retries, no time limit but idle.

    With ``sni`` the application speaks TLS with the destination itself, and the server name in its first bytes
    picks the cluster; ``cluster`` and ``service`` are empty. Another name, none, or something that is not TLS: the
    connection is closed.
    """

    binds: tuple[SocketAddress, ...]
    service: str
    cluster: Annotated[str, needs(Feature.TCP)]
    sni: tuple[SniRoute, ...] = ()
    at: Position | None = None

    @property
    def services(self) -> tuple[str, ...]:
        """Whom it leads to."""
        return tuple(dict.fromkeys(each.service for each in self.sni)) or (self.service,)


class InboundListener(Written, frozen=True):
    """Where other sidecars reach this one, over mutual TLS, and the application behind it.

    Only certificates of the mesh's CA with a name in its trust domain get through the handshake. How ``mtls`` is done says
    whether plaintext is taken too, or alone; rules say what who comes so may do, no identity is told of him, and for
    ``rate_limit`` all of them together are one caller, with a bucket of their own in any case. The
    application never gets a time limit here, but ``idle_timeout``: its caller's sidecar keeps the time. With
    TCP the stream inside the TLS goes to the application byte for byte, for callers whose identity is allowed.
    """

    binds: tuple[SocketAddress, ...]
    application: SocketAddress
    authorization: Authorization
    connect_timeout: timedelta
    idle_timeout: timedelta
    protocol: Protocol = Protocol.HTTP
    rate_limit: RateLimit | None = None
    mtls: MtlsMode = MtlsMode.STRICT
    asks: tuple[FeatureUse, ...] = ()

    @property
    def bind(self) -> SocketAddress:
        """The first address; where only one is possible, the only one."""
        return self.binds[0]


class AdminListener(Struct, frozen=True):
    """``GET /ready`` answers 200 when the sidecar serves; ``GET /build`` tells which build it runs."""

    bind: SocketAddress


class HealthListener(Written, frozen=True):
    """Plain HTTP off loopback for load balancers and kubelets, read only.

    ``GET /ready`` as on the admin listener. ``GET <path>``, where ``path`` is not empty, asks the application the
    same and hands on its answer (503 when it cannot be reached); it stands before ``/ready``. All else: 404.
    """

    binds: Annotated[tuple[SocketAddress, ...], needs(Feature.HEALTH_LISTENER)]
    path: str
    application: SocketAddress | None
    at: Position | None = None


class Sidecar(Written, frozen=True):
    """Everything that an emitter may know. A gateway is a sidecar too: without ``inbound`` and ``locals``."""

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
    locals: tuple[OutboundListener, ...] = ()
    """One for each HTTP callee that has a local port, on loopback."""
    tcp: tuple[TcpListener, ...] = ()
    health: HealthListener | None = None
    resolvers: tuple[SocketAddress, ...] = ()
    """Where names are looked up, in order; empty where nothing is."""
    tracing: Tracing | None = None
    metrics: Metrics | None = None
    asks: tuple[FeatureUse, ...] = ()
    build: str = ""
    """``sha256:…`` of all the rest, so that a change elsewhere in the mesh leaves it alone."""

    @property
    def ejecting(self) -> tuple[str, ...]:
        """Names of the clusters from which outlier detection takes endpoints, but for those of streams."""
        return tuple(
            each.name
            for each in self.clusters
            if each.outlier_detection and each.protocol is not Protocol.TCP
        )

    @property
    def is_gateway(self) -> bool:
        """Whether it speaks for clients outside the mesh, who know nothing of the mesh's domain."""
        return not self.outbound.domain


class Mesh(Struct, frozen=True):
    """The resolved mesh, sidecars sorted by service and instance."""

    name: str
    domain: str
    trust_domain: str
    certificates: CertificatePolicy
    sidecars: tuple[Sidecar, ...]
    calls: tuple[tuple[str, str], ...]
    """Every call to a service that the spec declares as (caller, callee), sorted. A callee's routes can lead on
    to other services; those pairs are here too. Gateways are callers."""
