"""Where requests of the outbound half lead: draws, locations, pools of connections, and names to look up."""

from __future__ import annotations

from msgspec import Struct

from meshctl.targets.nginx.quoting import Token


class Endpoint(Struct, frozen=True):
    """One peer, as the balancer in Lua knows it."""

    address: Token
    port: int
    weight: int
    name: Token
    priority: int = 0


class Share(Struct, frozen=True):
    """A part of a split."""

    part: Token
    number: int
    leads_to: Token


class Split(Struct, frozen=True):
    """A draw by hash of a random key: of a number first, for ``split_clients`` knows no variables as values."""

    variable: Token
    draw: Token
    key: Token
    shares: tuple[Share, ...]


class ByMethod(Struct, frozen=True):
    """Where the idempotent methods of a route lead, and where all others do."""

    variable: Token
    methods: tuple[Token, ...]
    leads_to: Token
    others_lead_to: Token


class DnsName(Struct, frozen=True):
    """A name to look up; empty: the request's own host. ``refresh`` in seconds as a number of Lua."""

    name: Token
    port: int
    refresh: Token
    srv: bool


class Names(Struct, frozen=True):
    """What the look-up of names needs: resolvers, and where a host of a request must not lead (ourselves)."""

    resolvers: tuple[Endpoint, ...]
    own: tuple[Token, ...]


class Upstream(Struct, frozen=True):
    """One cluster: its own pool of connections, so that callees never share one."""

    name: Token
    key: Token
    pick: Token
    endpoints: tuple[Endpoint, ...]
    dns: DnsName | None
    pool: int
    idle_timeout: Token
    balances: bool
    """Whether a location proxies to it; else it is a table of endpoints only."""
    observed: bool
    """Whether it counts what becomes of each try."""


class OriginTls(Struct, frozen=True):
    """TLS to an external: no certificate of ours is shown."""

    protocols: Token
    authorities: Token


class Retries(Struct, frozen=True):
    """What is tried again, where each try makes a hop of its own. Times are expressions of Lua, in seconds."""

    try_location: Token
    hop_status: bool
    per_try_timeout: Token
    base: Token
    maximum: Token
    share: Token | None
    callee: Token
    cluster: Token
    most: Token | None
    statuses: Token
    """One string, for a list could be too long for what NGINX reads of Lua at a time."""
    conditions: tuple[Token, ...]
    methods: tuple[Token, ...]
    any_method: Token


class Destination(Struct, frozen=True):
    """A cluster under one policy: one named location."""

    number: int
    location: Token
    again: Token
    upstream: Token
    multiplexed: bool
    module: Token
    """What the directives begin with that send a request on."""
    pass_to: Token
    server_name: Token | None
    origin_tls: OriginTls | None
    limit: int
    attempts: int
    retries_connect_failure: Token
    next_upstream: Token
    connect_timeout: Token
    connect_milliseconds: int
    idle_timeout: Token
    timeout_milliseconds: int
    bounded: bool
    body_timeout: Token | None
    streaming: bool
    intercepts: bool
    waits: bool
    """Whether a request may wait for a connection; one whose client goes away does not."""
    access: Token | None
    header_filter: Token
    log: Token | None
    retries: Retries | None


class Try(Struct, frozen=True):
    """One location of the inner server: a single try at one endpoint of a cluster."""

    location: Token
    upstream: Token
    multiplexed: bool
    module: Token
    pass_to: Token
    server_name: Token | None
    origin_tls: OriginTls | None
    connect_timeout: Token
    timeout: Token
    streaming: bool
    pool: int
    idle_timeout: Token
    observed: Token | None
    """The cluster, where it counts what becomes of each try."""
    header_filter: Token
