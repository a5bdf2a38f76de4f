"""Hand-made sidecars for the unit tests of targets: the resolved model without a spec."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from meshctl import ir
from meshctl.diagnostics import Position

WRITTEN = Position("mesh.yaml", 1, 1)
IDEMPOTENT = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE")
DEFAULT_RETRIES = ir.RetryPolicy(
    1, (ir.RetryCondition.CONNECT_FAILURE, ir.RetryCondition.REFUSED_STREAM), IDEMPOTENT
)
NO_RETRIES = ir.RetryPolicy(0, (), IDEMPOTENT)
DEFAULT_TIMEOUT = ir.Timeout(timedelta(seconds=15))


def identity(service: str) -> ir.WorkloadIdentity:
    return ir.WorkloadIdentity(service, trust_domain="shop.example", domain="shop.mesh")


def everything() -> ir.RouteMatch:
    return ir.RouteMatch(ir.PathMatch(ir.PathMatchKind.PREFIX, "/"), (), ())


def cluster(
    name: str,
    *endpoints: tuple[str, int, int],
    connect_timeout: timedelta = timedelta(seconds=1),
    idle_timeout: timedelta = timedelta(minutes=5),
) -> ir.Cluster:
    """A cluster named ``service`` or ``service.subset``; endpoints as (address, port, weight)."""
    return ir.Cluster(
        name=name,
        identity=identity(name.partition(".")[0]),
        endpoints=tuple(
            ir.Endpoint(ir.SocketAddress(address, port), weight) for address, port, weight in endpoints
        ),
        connect_timeout=connect_timeout,
        idle_timeout=idle_timeout,
        load_balancing=ir.LoadBalancing(ir.LoadBalancingPolicy.ROUND_ROBIN),
        circuit_breaker=ir.CircuitBreaker(max_connections=1024, max_requests=1024),
    )


def route(
    name: str,
    *backends: tuple[str, int],
    match: ir.RouteMatch | None = None,
    timeout: ir.Timeout = DEFAULT_TIMEOUT,
    retries: ir.RetryPolicy = DEFAULT_RETRIES,
    **others: Any,
) -> ir.Route:
    """A route; ``others`` are further fields of an ``ir.Route``."""
    return ir.Route(
        name=name,
        match=match or everything(),
        backends=tuple(ir.WeightedCluster(backend, weight) for backend, weight in backends),
        timeout=timeout,
        retries=retries,
        **others,
    )


def virtual_host(service: str, *routes: ir.Route) -> ir.VirtualHost:
    return ir.VirtualHost(service, (service, f"{service}.shop.mesh"), routes)


def sidecar(
    service: str,
    proxy: ir.Proxy,
    *,
    address: str = "127.0.0.1",
    app_port: int = 8080,
    inbound: bool = True,
    callers: tuple[str, ...] = (),
    virtual_hosts: tuple[ir.VirtualHost, ...] = (),
    clusters: tuple[ir.Cluster, ...] = (),
) -> ir.Sidecar:
    """A sidecar whose listeners and application are all on ``address`` (15006, 15001, 15000, app)."""
    return ir.Sidecar(
        mesh="shop",
        service=service,
        instance="",
        proxy=proxy,
        identity=identity(service),
        tls=ir.TlsContext(ir.TlsVersion.V1_3),
        inbound=ir.InboundListener(
            binds=(ir.SocketAddress(address, 15006),),
            application=ir.SocketAddress(address, app_port),
            authorization=ir.Authorization(
                ir.AuthorizationMode.DECLARED,
                tuple(ir.AuthorizationRule((identity(caller),)) for caller in callers),
            ),
            connect_timeout=timedelta(seconds=1),
            idle_timeout=timedelta(minutes=5),
        )
        if inbound
        else None,
        outbound=ir.OutboundListener(
            binds=(ir.SocketAddress(address, 15001),),
            domain="shop.mesh",
            virtual_hosts=virtual_hosts,
            idle_timeout=timedelta(minutes=5),
        ),
        admin=ir.AdminListener(ir.SocketAddress(address, 15000)),
        clusters=clusters,
        access_log=ir.AccessLog(enabled=True),
        build="sha256:" + "0" * 64,
    )
