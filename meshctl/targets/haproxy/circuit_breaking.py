"""How much may be under way to one callee."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from meshctl import ir
from meshctl.targets.haproxy import quoting
from meshctl.targets.haproxy.quoting import Token
from meshctl.targets.haproxy.sections import Limit, Queue

SCRIPT = "retries.lua"


def bounds_retries(sidecar: ir.Sidecar) -> bool:
    """Whether a cluster says how many retries may be under way."""
    return any(cluster.circuit_breaker.max_retries is not None for cluster in sidecar.clusters)


def limit(cluster: ir.Cluster, backends: Iterable[Token]) -> Limit:
    """The bound of one cluster, counted over all its backends.

    On HTTP/1.1 each request under way has a connection to itself, so the smaller bound is the bound, and
    whatever may wait for a connection comes on top. Requests of HTTP/2 share their connections.
    """
    breaker = cluster.circuit_breaker
    if cluster.protocol.multiplexed:
        return Limit(tuple(backends), breaker.max_requests)
    waiting = breaker.max_pending or 0 if queues(cluster) else 0
    return Limit(tuple(backends), min(breaker.max_connections + waiting, breaker.max_requests))


def queues(cluster: ir.Cluster) -> bool:
    """Whether requests wait for a connection. Without a bound for those that wait, nobody does."""
    breaker = cluster.circuit_breaker
    if cluster.protocol is not ir.Protocol.HTTP or not breaker.max_pending:
        return False
    return breaker.max_connections < breaker.max_requests


def queue(cluster: ir.Cluster, socket: Callable[[str], Token], pool_timeout: Token) -> Queue:
    """The one place where all requests to the cluster pass."""
    name, opened = (quoting.name(f"{cluster.name}:{each}") for each in ("queue", "queued"))
    return Queue(
        name=name,
        bind=socket(name),
        opened=opened,
        opened_bind=socket(opened),
        slots=cluster.circuit_breaker.max_connections,
        idle_timeout=quoting.duration(cluster.idle_timeout),
        pool_timeout=pool_timeout,
    )
