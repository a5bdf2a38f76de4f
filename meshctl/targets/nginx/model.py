"""The file as NGINX sees it. Every decision is taken and every string quoted; templates only print."""

from __future__ import annotations

from dataclasses import dataclass

from meshctl.targets.nginx.quoting import Token


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One peer, as the balancer in Lua knows it."""

    address: Token
    port: int
    weight: int
    name: Token


@dataclass(frozen=True, slots=True)
class Upstream:
    """One cluster: its own pool of connections, so that callees never share one."""

    name: Token
    key: Token
    pick: Token
    endpoints: tuple[Endpoint, ...]
    pool: int
    idle_timeout: Token


@dataclass(frozen=True, slots=True)
class Destination:
    """A cluster under one policy: one named location."""

    number: int
    location: Token
    again: Token
    upstream: Token
    server_name: Token
    limit: int
    attempts: int
    retries_connect_failure: Token
    next_upstream: Token
    connect_timeout: Token
    connect_milliseconds: int
    timeout: Token
    timeout_milliseconds: int
    bounds_body: bool


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a split."""

    part: Token
    number: int
    leads_to: Token


@dataclass(frozen=True, slots=True)
class Split:
    """A draw by hash of a random key: of a number first, for ``split_clients`` knows no variables as values."""

    variable: Token
    draw: Token
    key: Token
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class ByMethod:
    """Where the idempotent methods of a route lead, and where all others do."""

    variable: Token
    methods: tuple[Token, ...]
    leads_to: Token
    others_lead_to: Token


@dataclass(frozen=True, slots=True)
class Route:
    """What becomes of the requests of a route."""

    number: int
    name: Token
    leads_to: Token


@dataclass(frozen=True, slots=True)
class Rule:
    """One match of a virtual host's ordered table."""

    pattern: Token
    route: int


@dataclass(frozen=True, slots=True)
class Table:
    """Rules in order, and the route of what none of them takes (0: there is none)."""

    variable: Token
    rules: tuple[Rule, ...]
    otherwise: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """The table for one first segment of the path."""

    segment: Token
    table: Token


@dataclass(frozen=True, slots=True)
class Buckets:
    """Which table serves which first segment of the path; ``rest`` serves all others."""

    segment: Token
    capture: Token
    captured: Token
    rest: Token
    each: tuple[Bucket, ...]


@dataclass(frozen=True, slots=True)
class Routing:
    """The tables of one virtual host. ``variable`` holds the number of the route."""

    key: Token
    variable: Token
    tables: tuple[Table, ...]
    buckets: Buckets | None


@dataclass(frozen=True, slots=True)
class HeaderCondition:
    """A header that some route asks for; Lua tells whether any of its lines is the value."""

    name: Token
    value: Token


@dataclass(frozen=True, slots=True)
class VirtualHost:
    """The server of one callee."""

    names: tuple[Token, ...]
    headers_variable: Token
    headers_key: Token
    header_conditions: tuple[HeaderCondition, ...]
    routing: Routing
    destinations: tuple[Destination, ...]


@dataclass(frozen=True, slots=True)
class Tls:
    """What both directions of a hop have in common."""

    protocols: Token


@dataclass(frozen=True, slots=True)
class Outbound:
    """The listener of the sidecar's own application."""

    listen: Token
    mesh_host: Token
    idle_timeout: Token
    routes: tuple[Route, ...]
    splits: tuple[Split, ...]
    by_method: tuple[ByMethod, ...]
    upstreams: tuple[Upstream, ...]
    virtual_hosts: tuple[VirtualHost, ...]
    destinations: tuple[Destination, ...]


@dataclass(frozen=True, slots=True)
class Caller:
    """A service that may call."""

    name: Token
    identity: Token


@dataclass(frozen=True, slots=True)
class Inbound:
    """The listener of other sidecars. No caller: everybody is refused."""

    listen: Token
    application: Token
    subject: Token
    callers: tuple[Caller, ...]
    identity_header: Token
    untrusted_headers: tuple[Token, ...]
    connect_timeout: Token
    idle_timeout: Token
    keepalive_timeout: Token


@dataclass(frozen=True, slots=True)
class Admin:
    """The listener for probes."""

    listen: Token
    build: Token


@dataclass(frozen=True, slots=True)
class LogFormats:
    """One line each."""

    inbound: Token
    outbound: Token


@dataclass(frozen=True, slots=True)
class Configuration:
    """The whole file."""

    service: Token
    canonical_request: Token
    log_formats: LogFormats | None
    tls: Tls
    admin: Admin
    outbound: Outbound
    inbound: Inbound | None
