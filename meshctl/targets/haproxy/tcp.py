"""Streams: local ports that lead to a callee, or to several by the name in TLS, and what a backend behind one is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from meshctl import ir
from meshctl.targets.haproxy import (
    access_logs,
    backends,
    circuit_breaking,
    discovery,
    egress,
    failover,
    health_checks,
    load_balancing,
    quoting,
)
from meshctl.targets.haproxy.model import SniRule, TcpBackend, TcpListener
from meshctl.targets.haproxy.quoting import Token

HELLO = timedelta(seconds=10)
"""How long the first bytes of TLS are waited for."""


def listeners(sidecar: ir.Sidecar) -> Iterator[TcpListener]:
    """One for each local port of TCP callees. Nothing is tried again."""
    clusters = {cluster.name: cluster for cluster in sidecar.clusters}
    for listener in sidecar.tcp:
        if listener.sni:
            name = quoting.name(f"tls:{listener.binds[0].port}")
            found = {_backend_name(each): clusters[each.cluster] for each in listener.sni}
        else:
            name = quoting.name(f"{listener.service}:tcp")
            found = {name: clusters[listener.cluster]}
        yield TcpListener(
            name=name,
            binds=quoting.binds(listener.binds),
            access_log=access_logs.stream_log(sidecar, access_logs.Direction.OUTBOUND),
            idle_timeout=quoting.duration(max(cluster.idle_timeout for cluster in found.values())),
            rules=tuple(_rules(listener)),
            hello_timeout=quoting.duration(HELLO),
            backends=tuple(_backend(sidecar, name, cluster) for name, cluster in found.items()),
        )


def _backend(sidecar: ir.Sidecar, name: Token, cluster: ir.Cluster) -> TcpBackend:
    return TcpBackend(
        name=name,
        limit=circuit_breaking.limit(cluster, (name,)),
        connect_timeout=quoting.duration(cluster.connect_timeout),
        idle_timeout=quoting.duration(cluster.idle_timeout),
        algorithm=load_balancing.algorithm(cluster.load_balancing),
        transport=backends.transport(cluster, sidecar),
        fails_over=failover.levels(cluster) > 1,
        check=health_checks.check(cluster) if cluster.dns else None,
        is_watched=egress.looked_up(cluster) or cluster.health_check is not None,
        servers=failover.flat(cluster, discovery.servers(cluster, attempts=0)),
    )


def _backend_name(route: ir.SniRoute) -> Token:
    return quoting.name(f"{route.cluster}:tls")


def _rules(listener: ir.TcpListener) -> Iterator[SniRule]:
    """Exact names, then wildcards, the longer first."""
    wildcards = []
    for route in listener.sni:
        backend = _backend_name(route)
        for names in quoting.word_lists(tuple(each for each in route.hostnames if "*" not in each)):
            yield SniRule(quoting.statement(Token("-m str --"), names), backend)
        wildcards += [(name[1:], backend) for name in route.hostnames if name.startswith("*.")]
    for suffix, backend in sorted(wildcards, key=lambda each: -len(each[0])):
        pattern = quoting.regex(f".{quoting.literal_regex(suffix)}$")
        yield SniRule(quoting.statement(Token("-m reg --"), pattern), backend)
