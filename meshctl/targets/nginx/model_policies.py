"""What decides beyond a cluster's turns: balancing, ejections, checks; and the copies of requests."""

from __future__ import annotations

from msgspec import Struct

from meshctl.targets.nginx.model_destinations import Destination, OriginTls
from meshctl.targets.nginx.quoting import Token


class Ejection(Struct, frozen=True):
    """When an endpoint is left alone, and of how many at a time. The time is an expression of Lua."""

    errors: int
    seconds: Token
    share: int
    of: int


class Watch(Struct, frozen=True):
    """What ``peers.lua`` does for a cluster where more than turns count. ``balance`` is an expression of Lua."""

    cluster: Token
    balance: Token
    counted: bool
    checked: bool
    ejection: Ejection | None


class HealthCheck(Struct, frozen=True):
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


class Queue(Struct, frozen=True):
    """How many requests of a cluster may hold a connection, and how many more wait for one."""

    cluster: Token
    connections: int
    pending: int


class Copy(Struct, frozen=True):
    """``share`` of ``of`` requests are copied to a destination."""

    destination: int
    share: int
    of: int


class MirroredRoute(Struct, frozen=True):
    """The mirrors of a route, by its number."""

    number: int
    copies: tuple[Copy, ...]


class Mirroring(Struct, frozen=True):
    """Routes with mirrors, and the destinations that copies go to by way of the inner server."""

    routes: tuple[MirroredRoute, ...]
    destinations: tuple[Destination, ...]


class Policies(Struct, frozen=True):
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
