"""Endpoints and the clusters they make up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Related
from meshctl.resolve import (
    applications,
    circuit_breaking,
    failover,
    health_checks,
    load_balancing,
    lookups,
    outlier_detection,
    timeouts,
)
from meshctl.resolve.layers import Layers
from meshctl.resolve.splitting import cluster_name, reduced
from meshctl.spec import Source
from meshctl.spec.discovery import EndpointSpec
from meshctl.spec.externals import ExternalEndpointSpec
from meshctl.spec.service import ServiceSpec

DEFAULT_INBOUND_PORT = 15006


def subsets(service: ServiceSpec) -> set[str]:
    """The subsets that the endpoints of a service name."""
    return {each.subset for each in service.endpoints or () if each.subset is not None}


def check(
    endpoints: Sequence[EndpointSpec | ExternalEndpointSpec] | None, port: int, source: Source
) -> Iterator[Finding]:
    """Endpoints that are listed twice: there is one, and it would take two shares of the requests.

    ``port`` is that of endpoints which say none, ``source`` the place of their owner.
    """
    if len({(each.address, each.port or port) for each in endpoints or ()}) == len(endpoints or ()):
        return
    first_of: dict[tuple[str, int], int] = {}
    for index, endpoint in enumerate(endpoints or ()):
        its = endpoint.port or port
        first = first_of.setdefault((endpoint.address, its), index)
        if first != index:
            before = source["endpoints"][first].at("address")
            yield finding(
                "duplicate-definition",
                source["endpoints"][index].at("address"),
                f"a second endpoint at {ir.SocketAddress(endpoint.address, its)}",
                related=(Related(before, "the first one"),) if before else (),
            )


def check_kinds(service: ServiceSpec, source: Source) -> Iterator[Finding]:
    """Endpoints that would be looked up in two ways."""
    found = service.discovery
    kinds = (found.dns, found.dns_srv, found.consul, found.kubernetes) if found is not None else ()
    if found is not None and service.endpoints:
        message = "endpoints are written down, or looked up with `discovery`"
        yield finding("not-exactly-one", source.at("discovery"), message)
    if sum(each is not None for each in kinds) > 1:
        message = "endpoints are looked up in one way: `dns`, `dnsSrv`, `consul` or `kubernetes`"
        yield finding("not-exactly-one", source.at("discovery"), message)


def taking(service: ServiceSpec, subset: str | None = None) -> list[EndpointSpec]:
    """The endpoints of the service, or of its subset, that have a weight above zero."""
    return [
        each
        for each in service.endpoints or ()
        if each.weight != 0 and (subset is None or each.subset == subset)
    ]


def zones(service: ServiceSpec, subset: str | None = None) -> list[str]:
    """Where each of them is; empty where nobody knows."""
    return [each.zone or service.zone or "" for each in taking(service, subset)]


def endpoints(
    service: ServiceSpec, subset: str | None, inbound_port: int, zone: str, wanted: failover.Locality | None
) -> tuple[ir.Endpoint, ...]:
    """The instances of a service, or of one subset, that take requests; weight 0 takes none.

    Their priorities are those for a caller in ``zone``.
    """
    chosen = taking(service, subset)
    found = failover.levels(zones(service, subset), zone, wanted)
    weights = reduced(1 if each.weight is None else each.weight for each in chosen)
    return tuple(
        ir.Endpoint(ir.SocketAddress(each.address, each.port or inbound_port), weight, level)
        for each, weight, level in zip(chosen, weights, found, strict=True)
    )


def cluster(
    name: str,
    subset: str | None,
    service: ServiceSpec,
    identity: ir.WorkloadIdentity,
    inbound_port: int,
    layers: Layers,
    zone: str,
    source: Source,
) -> ir.Cluster:
    """One callee, or one subset of it, as the caller with these ``layers``, in this ``zone``, reaches it."""
    wanted = failover.locality(layers) if service.endpoints else None
    speaks = applications.protocol(service)
    return ir.Cluster(
        name=cluster_name(name, subset),
        identity=identity,
        endpoints=endpoints(service, subset, inbound_port, zone, wanted),
        connect_timeout=timeouts.connect_timeout(layers),
        idle_timeout=timeouts.idle_timeout(layers),
        load_balancing=load_balancing.load_balancing(layers, stream=speaks is ir.Protocol.TCP),
        circuit_breaker=circuit_breaking.circuit_breaker(layers, service.routes),
        outlier_detection=outlier_detection.outlier_detection(layers),
        health_check=health_checks.health_check(
            layers, identity.dns_name, health_checks.kinds(speaks, outside=False)
        ),
        dns=lookups.dns_name(service.discovery, inbound_port) if service.discovery is not None else None,
        protocol=speaks,
        asks=(
            *timeouts.asked(layers),
            *failover.asks(wanted),
            *applications.asks(service, source),
            *lookups.asks(service.discovery, source["discovery"]),
            *_asked_weights(service, source),
            *asked_ipv6([each.address for each in service.endpoints or ()], source),
        ),
    )


def asked_ipv6(addresses: Sequence[str], source: Source) -> Iterator[ir.FeatureUse]:
    """Endpoints of a callee with addresses of IPv6; ``source`` is the callee's place."""
    for index, address in enumerate(addresses):
        at = source["endpoints"][index].at("address") if ":" in address else None
        if at is not None:
            yield ir.FeatureUse(ir.Feature.IPV6, at)
            return


def _asked_weights(service: ServiceSpec, source: Source) -> Iterator[ir.FeatureUse]:
    for index, endpoint in enumerate(service.endpoints or ()):
        at = source["endpoints"][index].at("weight") if endpoint.weight is not None else None
        if at is not None:
            yield ir.FeatureUse(ir.Feature.ENDPOINT_WEIGHTS, at)
            return
