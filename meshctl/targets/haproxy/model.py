"""The file as HAProxy sees it. Every decision is taken and every string quoted; templates only print."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from meshctl.targets.haproxy.quoting import Token
from meshctl.targets.haproxy.sections import Backend, Check, Checks, Limit, Queue


class Criterion(Struct, frozen=True):
    """A named condition: one line for each list of patterns, and any of them is enough."""

    name: Token
    test: Token
    patterns: tuple[Token, ...]


class HostRule(Struct, frozen=True):
    """Names that lead to the routes of ``key``; every name without a condition. The first rule wins."""

    key: Token
    condition: Token | None


class RouteRule(Struct, frozen=True):
    """One match. ``target`` is the number that says where the request goes, see :class:`RouteTarget`."""

    target: int
    host: Token
    criteria: tuple[Criterion, ...]
    names: tuple[Token, ...]
    """Of the criteria, each once: all must hold."""
    yields_below: int | None
    """Where the host has tables too: a number below this that they found goes before."""


class Share(Struct, frozen=True):
    """A backend for the draws below ``below`` (any draw when None) and, if given, these methods only."""

    backend: Token
    below: int | None
    methods: Token | None


class Action(Struct, frozen=True):
    """Something to do for the requests of one route. With a condition, only where that holds too."""

    when: Token
    does: Token
    condition: Token | None = None


class RouteTarget(Struct, frozen=True):
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


class PathTable(Struct, frozen=True):
    """For one host, files from paths to the number of the first route that asks for nothing else."""

    host: Token
    exact: Token
    prefix: Token


class Lookup(Struct, frozen=True):
    """Files from numbers of routes to targets, and from plain targets to their names and backends."""

    hosts: tuple[PathTable, ...]
    targets: Token
    routes: Token
    backends: Token


class Tls(Struct, frozen=True):
    """What both directions of a hop have in common."""

    minimum: Token
    maximum: Token
    ciphers: Token | None
    crl: bool


class Resolvers(Struct, frozen=True):
    """Where names are looked up; ``hold``: how long an answer stays while there is no good one."""

    name: Token
    nameservers: tuple[Token, ...]
    refresh: Token
    hold: Token


class AccessLog(Struct, frozen=True):
    """The line of a request, and that of what never became one."""

    request: Token
    failure: Token


class KeptHeader(Struct, frozen=True):
    """A request header for the access log; its number is in the name of the variable."""

    number: int
    name: Token
    redacted: bool


class Kept(Struct, frozen=True):
    """What the access log tells of requests besides what every line has."""

    query: Token | None
    headers: tuple[KeptHeader, ...]


class Outbound(Struct, frozen=True):
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


class SniRule(Struct, frozen=True):
    """Connections whose TLS asks for a name that fits go to ``backend``. The first rule wins."""

    condition: Token
    backend: Token


class TcpListener(Struct, frozen=True):
    """A local port and the backends behind it. Without ``rules`` there is one, of the same name."""

    name: Token
    binds: tuple[Token, ...]
    access_log: Token | None
    idle_timeout: Token
    rules: tuple[SniRule, ...]
    hello_timeout: Token
    backends: tuple[TcpBackend, ...]


class TcpBackend(Struct, frozen=True):
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


class AccessRule(Struct, frozen=True):
    """``verdict`` for requests for which all of ``names`` hold."""

    verdict: Token
    criteria: tuple[Criterion, ...]
    names: tuple[Token, ...]


class Access(Struct, frozen=True):
    """Lists of callers when that is all, else rules. Whom nothing allows is refused, or with ``audit`` marked."""

    by_rules: bool
    callers: tuple[Token, ...]
    rules: tuple[AccessRule, ...]
    audit: bool


class Issuer(Struct, frozen=True):
    """Whose tokens are good: all of ``names`` must hold."""

    number: int
    criteria: tuple[Criterion, ...]
    names: tuple[Token, ...]


class RateLimit(Struct, frozen=True):
    """A condition that takes a token where there is one, and in how many seconds there is the next."""

    admitted: Token
    retry_after: int


class Doorway(Struct, frozen=True):
    """The port where TLS and plaintext come in, told apart by the first bytes, which are waited for for so long."""

    binds: tuple[Token, ...]
    wait: Token
    tls: Token
    plain: Token
    """Where the two go on."""


class Inbound(Struct, frozen=True):
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


class Admin(Struct, frozen=True):
    """The listener for probes."""

    bind: Token
    build: Token


class Metrics(Struct, frozen=True):
    """What stands in every series, and the upper bounds of the histogram's buckets in milliseconds.

    ``ejecting`` are the callees (and subsets) whose endpoints can be ejected; None where nobody's can.
    """

    labels: Token
    service: Token
    buckets: Token
    build: Token
    ejecting: Token | None


class Sampling(Struct, frozen=True):
    """Of ``range`` traces that begin here, ``below`` are sampled."""

    range: int
    below: int


class Health(Struct, frozen=True):
    """The listener for load balancers. ``path`` and ``application`` together, or neither."""

    binds: tuple[Token, ...]
    path: Token | None
    application: Token | None
    multiplexed: bool


class Configuration(Struct, frozen=True):
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
    kept: Kept | None
    silence: Token | None
    """The draw by which what went well has no line in the access log."""
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
