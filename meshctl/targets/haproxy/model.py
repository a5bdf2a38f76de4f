"""The file as HAProxy sees it. Every decision is taken and every string quoted; templates only print."""

from __future__ import annotations

from dataclasses import dataclass

from meshctl.targets.haproxy.quoting import Token


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
    route: Token
    range: int | None
    shares: tuple[Share, ...]
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Tls:
    """What both directions of a hop have in common."""

    minimum: Token
    maximum: Token


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``requests`` at once in these backends together."""

    backends: tuple[Token, ...]
    requests: int


@dataclass(frozen=True, slots=True)
class Tries:
    """The section that balances and tries again. ``causes`` empty: nothing but ``attempts`` 0."""

    attempts: int
    causes: Token
    connect_timeout: Token
    response_timeout: Token
    idle_timeout: Token
    pool_timeout: Token
    algorithm: Token
    server_name: Token
    server_name_sample: Token
    servers: tuple[Token, ...]
    holds_body: bool
    marks_answers: bool


@dataclass(frozen=True, slots=True)
class Deadline:
    """The section before it, where the time of all tries together is kept."""

    timeout: Token
    hop: Token


@dataclass(frozen=True, slots=True)
class Backend:
    """One cluster under one policy."""

    name: Token
    inner_name: Token
    limit: Limit
    tries: Tries
    deadline: Deadline | None


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
    hosts: tuple[HostRule, ...]
    egress: HostRule | None
    rules: tuple[RouteRule, ...]
    targets: tuple[RouteTarget, ...]


@dataclass(frozen=True, slots=True)
class Inbound:
    """The listener of other sidecars. No caller: everybody is refused."""

    bind: Token
    application: Token
    upstream: Token
    subject: Token
    callers: tuple[Token, ...]
    identity_prefix: Token
    connect_timeout: Token
    idle_timeout: Token
    pool_timeout: Token
    access_log: AccessLog | None


@dataclass(frozen=True, slots=True)
class Admin:
    """The listener for probes."""

    bind: Token
    build: Token


@dataclass(frozen=True, slots=True)
class Configuration:
    """The whole file."""

    node: Token
    description: Token
    tls: Tls
    idle_timeout: Token
    admin: Admin
    unanswered: Token
    listeners: tuple[Outbound, ...]
    backends: tuple[Backend, ...]
    inbound: Inbound | None
