"""What decides beyond a cluster's turns: balancing, ejections, checks; and the copies of requests."""

from __future__ import annotations

from dataclasses import dataclass

from meshctl.targets.nginx.model_destinations import Destination, OriginTls
from meshctl.targets.nginx.quoting import Token


@dataclass(frozen=True, slots=True)
class Ejection:
    """When an endpoint is left alone, and of how many at a time. The time is an expression of Lua."""

    errors: int
    seconds: Token
    share: int
    of: int


@dataclass(frozen=True, slots=True)
class Watch:
    """What ``peers.lua`` does for a cluster where more than turns count. ``balance`` is an expression of Lua."""

    cluster: Token
    balance: Token
    counted: bool
    checked: bool
    ejection: Ejection | None


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How the endpoints of one cluster are asked, and the location of the inner server that does it."""

    number: int
    location: Token
    upstream: Token
    cluster: Token
    grpc: bool
    tcp: bool
    path: Token
    host: Token
    interval: Token
    timeout: Token
    connect_timeout: Token
    longest: Token
    unhealthy: int
    healthy: int
    pass_to: Token
    server_name: Token | None
    origin_tls: OriginTls | None


@dataclass(frozen=True, slots=True)
class Queue:
    """How many requests of a cluster may hold a connection, and how many more wait for one."""

    cluster: Token
    connections: int
    pending: int


@dataclass(frozen=True, slots=True)
class Copy:
    """``share`` of ``of`` requests are copied to a destination."""

    destination: int
    share: int
    of: int


@dataclass(frozen=True, slots=True)
class MirroredRoute:
    """The mirrors of a route, by its number."""

    number: int
    copies: tuple[Copy, ...]


@dataclass(frozen=True, slots=True)
class Mirroring:
    """Routes with mirrors, and the destinations that copies go to by way of the inner server."""

    routes: tuple[MirroredRoute, ...]
    destinations: tuple[Destination, ...]


@dataclass(frozen=True, slots=True)
class Policies:
    """All of them. ``observes``: there are clusters of which each try is counted."""

    watches: tuple[Watch, ...]
    checks: tuple[HealthCheck, ...]
    mirroring: Mirroring | None
    queues: tuple[Queue, ...]
    observes: bool
    log: Token | None
    """What has to be told that a request has ended."""
    timers: int | None
    """How many timers Lua may need at a time; None where few do."""
