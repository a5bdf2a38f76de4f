"""Destinations outside the mesh: how they are spoken to, and the names that are looked up."""

from __future__ import annotations

from meshctl import ir
from meshctl.ir import Protocol
from meshctl.targets.nginx import model_destinations as model
from meshctl.targets.nginx import mtls, quoting
from meshctl.targets.nginx.quoting import Token

_REQUESTS_HOST = quoting.word("$host")


def scheme(cluster: ir.Cluster) -> str:
    """How the cluster's endpoints are spoken to."""
    plain = cluster.plaintext or (cluster.origin is not None and cluster.origin.tls is None)
    return "http" if plain else "https"


def server_name(cluster: ir.Cluster) -> Token | None:
    """What is sent as SNI and verified; None for plain connections."""
    if cluster.plaintext:
        return None
    if cluster.origin is None:
        return mtls.server_name(cluster.workload)
    if cluster.origin.tls is None:
        return None
    written = cluster.origin.tls.server_name
    return quoting.name(written) if written else _REQUESTS_HOST


def origin_tls(cluster: ir.Cluster) -> model.OriginTls | None:
    """What differs from the mesh's own hops."""
    if cluster.origin is None or cluster.origin.tls is None:
        return None
    tls = cluster.origin.tls
    versions = mtls.protocols(tls.minimum_version, ir.TlsVersion.V1_3)
    return model.OriginTls(protocols=versions, authorities=quoting.file(tls.authorities))


def follows_the_request(cluster: ir.Cluster) -> bool:
    """Whether each host has connections of its own, so that none may be kept for the next request."""
    return cluster.dns is not None and not cluster.dns.name


def dns_name(cluster: ir.Cluster) -> model.DnsName | None:
    """What is looked up to find the cluster's endpoints."""
    if cluster.dns is None:
        return None
    return model.DnsName(
        name=quoting.lua_string(cluster.dns.name),
        port=cluster.dns.port,
        refresh=quoting.lua_seconds(cluster.dns.refresh),
        srv=cluster.dns.srv,
    )


def mesh_host(domain: str) -> Token:
    """As of :mod:`routing`, but that an address of IPv6, which has no dots, is no name of this mesh."""
    return quoting.map_regex(rf"(?:^[^.:]+|\.{quoting.literal_regex(domain)})\z")


def names(sidecar: ir.Sidecar) -> model.Names | None:
    """What the look-up needs; None where no name is looked up."""
    asked = any(each.dns is not None and each.protocol is not Protocol.TCP for each in sidecar.clusters)
    if not asked:
        return None
    listeners = (sidecar.outbound, *sidecar.locals)
    return model.Names(
        resolvers=tuple(
            model.Endpoint(quoting.lua_host(each), each.port, 1, quoting.lua_string(str(each)))
            for each in sidecar.resolvers
        ),
        own=tuple(quoting.lua_string(str(bind)) for each in listeners for bind in each.binds),
    )
