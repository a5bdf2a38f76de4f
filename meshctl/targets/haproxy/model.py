"""The file as HAProxy sees it. Every decision is taken and every string quoted; templates only print."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from meshctl.targets.haproxy.quoting import Token
from meshctl.targets.haproxy.sections import Backend, Check, Checks, Limit, Queue


@dataclass(frozen=True, slots=True)
class Criterion:
    """A named condition: one line for each list of patterns, and any of them is enough."""

    name: Token
    test: Token
    patterns: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class HostRule:
    """Names that lead to the routes of ``key``; every name without a condition. The first rule wins."""

    key: Token
    condition: Token | None


@dataclass(frozen=True, slots=True)
class RouteRule:
    """One match. ``target`` is the number that says where the request goes, see :class:`RouteTarget`."""

    target: int
    host: Token
    criteria: tuple[Criterion, ...]
    names: tuple[Token, ...]
    """Of the criteria, each once: all must hold."""
    yields_below: int | None
    """Where the host has tables too: a number below this that they found goes before."""


@dataclass(frozen=True, slots=True)
class Share:
    """A backend for the draws below ``below`` (any draw when None) and, if given, these methods only."""

    backend: Token
    below: int | None
    methods: Token | None


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do for the requests of one route. With a condition, only where that holds too."""

    when: Token
    does: Token
    condition: Token | None = None


@dataclass(frozen=True, slots=True)
class RouteTarget:
    """What becomes of the requests of one route. No share: 503, unless an action answers."""

    number: int
    name: str
    route: Token
    range: int | None
    shares: tuple[Share, ...]
    actions: tuple[Action, ...]

    @property
    def is_plain(self) -> bool:
        """Whether it is no more than a name and one backend."""
        return len(self.shares) == 1 and not self.actions


@dataclass(frozen=True, slots=True)
class PathTable:
    """For one host, files from paths to the number of the first route that asks for nothing else."""

    host: Token
    exact: Token
    prefix: Token


@dataclass(frozen=True, slots=True)
class Lookup:
    """Files from numbers of routes to targets, and from plain targets to their names and backends."""

    hosts: tuple[PathTable, ...]
    targets: Token
    routes: Token
    backends: Token


@dataclass(frozen=True, slots=True)
class Tls:
    """What both directions of a hop have in common."""

    minimum: Token
    maximum: Token
    ciphers: Token | None
    crl: bool


@dataclass(frozen=True, slots=True)
class Resolvers:
    """Where names are looked up; ``hold``: how long an answer stays while there is no good one."""

    name: Token
    nameservers: tuple[Token, ...]
    refresh: Token
    hold: Token


@dataclass(frozen=True, slots=True)
class AccessLog:
    """The line of a request, and that of what never became one."""

    request: Token
    failure: Token


@dataclass(frozen=True, slots=True)
class Outbound:
    """A listener of those for whom the sidecar speaks. ``egress``: the rules for what is no host of ours."""

    name: Token
    binds: tuple[Token, ...]
    domain_suffix: Token | None
    idle_timeout: Token
    access_log: AccessLog | None
    grpc: bool
    """Whether what the sidecar answers by itself to gRPC has the shape of gRPC."""
    hosts: tuple[HostRule, ...]
    egress: HostRule | None
    lookup: Lookup | None
    rules: tuple[RouteRule, ...]
    targets: tuple[RouteTarget, ...]
    spelled_out: tuple[RouteTarget, ...]
    """Those that no table tells about."""


@dataclass(frozen=True, slots=True)
class SniRule:
    """Connections whose TLS asks for a name that fits go to ``backend``. The first rule wins."""

    condition: Token
    backend: Token


@dataclass(frozen=True, slots=True)
class TcpListener:
    """A local port and the backends behind it. Without ``rules`` there is one, of the same name."""

    name: Token
    binds: tuple[Token, ...]
    access_log: Token | None
    idle_timeout: Token
    rules: tuple[SniRule, ...]
    hello_timeout: Token
    backends: tuple[TcpBackend, ...]


@dataclass(frozen=True, slots=True)
class TcpBackend:
    """A callee whose connections carry bytes."""

    name: Token
    limit: Limit
    connect_timeout: Token
    idle_timeout: Token
    algorithm: Token
    transport: Token
    fails_over: bool
    check: Check | None
    is_watched: bool
    servers: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class AccessRule:
    """``verdict`` for requests for which all of ``names`` hold."""

    verdict: Token
    criteria: tuple[Criterion, ...]
    names: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class Access:
    """Lists of callers when that is all, else rules. Whom nothing allows is refused, or with ``audit`` marked."""

    by_rules: bool
    callers: tuple[Token, ...]
    rules: tuple[AccessRule, ...]
    audit: bool


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose tokens are good: all of ``names`` must hold."""

    number: int
    criteria: tuple[Criterion, ...]
    names: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A condition that takes a token where there is one, and in how many seconds there is the next."""

    admitted: Token
    retry_after: int


@dataclass(frozen=True, slots=True)
class Doorway:
    """The port where TLS and plaintext come in, told apart by the first bytes, which are waited for for so long."""

    binds: tuple[Token, ...]
    wait: Token
    tls: Token
    plain: Token
    """Where the two go on."""


@dataclass(frozen=True, slots=True)
class Inbound:
    """The listener of other sidecars."""

    binds: tuple[Token, ...]
    plain_binds: tuple[Token, ...]
    application: Token
    multiplexed: bool
    grpc: bool
    upstream: Token
    access: Access
    issuers: tuple[Issuer, ...]
    challenge: Token | None
    """What who might be let in with a better token is told."""
    rate_limit: RateLimit | None
    identity_prefix: Token
    connect_timeout: Token
    idle_timeout: Token
    pool_timeout: Token
    access_log: AccessLog | None
    stream_log: Token | None


@dataclass(frozen=True, slots=True)
class Admin:
    """The listener for probes."""

    bind: Token
    build: Token


@dataclass(frozen=True, slots=True)
class Metrics:
    """What stands in every series, and the upper bounds of the histogram's buckets in milliseconds."""

    labels: Token
    service: Token
    buckets: Token


@dataclass(frozen=True, slots=True)
class Sampling:
    """Of ``range`` traces that begin here, ``below`` are sampled."""

    range: int
    below: int


@dataclass(frozen=True, slots=True)
class Health:
    """The listener for load balancers. ``path`` and ``application`` together, or neither."""

    binds: tuple[Token, ...]
    path: Token | None
    application: Token | None
    multiplexed: bool


@dataclass(frozen=True, slots=True)
class Configuration:
    """The whole file."""

    node: Token
    description: Token
    tls: Tls
    subject: Token
    names_one: Token | None
    """What the common name and the certificate of a caller are like, in hexadecimal; None where nobody shows one."""
    idle_timeout: Token
    admin: Admin
    health: Health | None
    metrics: Metrics | None
    tracing: Sampling | None
    unanswered: Token
    listeners: tuple[Outbound, ...]
    backends: tuple[Backend, ...]
    files: Mapping[str, bytes]
    """Beside the configuration, by name."""
    streams: tuple[TcpListener, ...]
    resolvers: tuple[Resolvers, ...]
    checks: tuple[Checks, ...]
    queues: tuple[Queue, ...]
    mirrors: Token | None
    counts: bool
    notes: bool
    """Whether tries are counted, and whether it is noted to which endpoint the last one went."""
    multiplexes: bool
    reads_tokens: bool
    challenges: bool
    """Whether tokens count, and whether any answer asks for one."""
    scripts: tuple[Token, ...]
    """In Lua, by name: what HAProxy itself cannot do."""
    inbound: Inbound | None
    inbound_streams: Inbound | None
    takes_plaintext: bool
    """Whether somebody may come in without a certificate."""
    doorway: Doorway | None
    has_streams: bool
