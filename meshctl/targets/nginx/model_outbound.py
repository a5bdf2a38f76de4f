"""The outbound half of the file, shaped like it: listeners, conditions, tables of routes, filters."""

from __future__ import annotations

from dataclasses import dataclass

from meshctl.targets.nginx.model_destinations import ByMethod, Destination, Names, Split, Try, Upstream
from meshctl.targets.nginx.model_policies import Policies
from meshctl.targets.nginx.quoting import Token


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
    """Which table serves which segment of the path; ``rest`` serves all others."""

    variable: Token
    segment: Token
    pattern: Token
    captured: Token
    rest: Token
    each: tuple[Bucket, ...]


@dataclass(frozen=True, slots=True)
class Routing:
    """The tables of one virtual host. ``variable`` holds the number of the route."""

    key: Token
    variable: Token
    tables: tuple[Table, ...]
    buckets: tuple[Buckets, ...]


@dataclass(frozen=True, slots=True)
class ExactValue:
    """A condition that asks for one value."""

    value: Token
    number: int


@dataclass(frozen=True, slots=True)
class RegexValue:
    """A condition that asks for a regular expression, anchored at both ends."""

    pattern: Token
    number: int


@dataclass(frozen=True, slots=True)
class NamedConditions:
    """What is asked of one header or query parameter; ``present`` is the condition's number, or 0."""

    name: Token
    exact: tuple[ExactValue, ...]
    regexes: tuple[RegexValue, ...]
    present: int


@dataclass(frozen=True, slots=True)
class Conditions:
    """What Lua looks at; ``variable`` holds the numbers of the conditions that hold."""

    variable: Token
    key: Token
    headers: tuple[NamedConditions, ...]
    queries: tuple[NamedConditions, ...]


@dataclass(frozen=True, slots=True)
class HeaderLine:
    """One line of a header; ``joined`` to the one that is there, where NGINX keeps no two."""

    name: Token
    value: Token
    joined: bool


@dataclass(frozen=True, slots=True)
class HeaderChanges:
    """Removed, replaced and appended, in this order."""

    removed: tuple[Token, ...]
    replaced: tuple[HeaderLine, ...]
    appended: tuple[HeaderLine, ...]


@dataclass(frozen=True, slots=True)
class PathChange:
    """Either a whole new path, or a new beginning in place of the first ``matched`` characters."""

    matched: int
    prefix: Token | None
    path: Token | None


@dataclass(frozen=True, slots=True)
class Redirect:
    """Empty tokens and port 0: as the client had it."""

    status: int
    scheme: Token
    hostname: Token
    port: int
    path: PathChange


@dataclass(frozen=True, slots=True)
class DirectResponse:
    """An answer of the sidecar's own."""

    status: int
    body: Token


@dataclass(frozen=True, slots=True)
class Filter:
    """What a route changes, or answers by itself; Lua knows it by the route's number."""

    number: int
    rewrite: PathChange | None
    hostname: Token | None
    request_headers: HeaderChanges | None
    response_headers: HeaderChanges | None
    redirect: Redirect | None
    response: DirectResponse | None


@dataclass(frozen=True, slots=True)
class Fault:
    """Failures on purpose of a route, by its number. Shares and times are expressions of Lua; status 0: none."""

    number: int
    delay: Token
    delay_share: Token
    status: int
    abort_share: Token


@dataclass(frozen=True, slots=True)
class VirtualHost:
    """The server of one callee. ``fallback``: it takes every host that no other server does."""

    callee: Token
    names: tuple[Token, ...]
    fallback: bool
    refuses_mesh_hosts: bool
    changes_requests: bool
    answers: bool
    fails: bool
    """Whether a route of it fails on purpose."""
    conditions: Conditions | None
    routing: Routing
    destinations: tuple[Destination, ...]


@dataclass(frozen=True, slots=True)
class ServerTls:
    """What a gateway shows to the world."""

    certificate: Token
    key: Token
    protocols: Token


@dataclass(frozen=True, slots=True)
class Preread:
    """Where a stream takes connections, and the sockets of the inner listeners that it leads them to."""

    number: int
    listens: tuple[Token, ...]
    http1: Token
    http2: Token
    idle_timeout: Token


@dataclass(frozen=True, slots=True)
class Listener:
    """Where requests come in. Without ``fallback`` some virtual host takes every host."""

    listens: tuple[Token, ...]
    """None with ``preread``, which has them."""
    preread: Preread | None
    http2: bool
    idle_timeout: Token
    tls: ServerTls | None
    fallback: bool
    virtual_hosts: tuple[VirtualHost, ...]


@dataclass(frozen=True, slots=True)
class Outbound:
    """The listeners of those for whom the sidecar speaks, and all that they share."""

    listeners: tuple[Listener, ...]
    mesh_host: Token | None
    host: Token
    """What goes on as Host."""
    routes: tuple[Route, ...]
    splits: tuple[Split, ...]
    by_method: tuple[ByMethod, ...]
    conditions: tuple[Conditions, ...]
    filters: tuple[Filter, ...]
    faults: tuple[Fault, ...]
    upstreams: tuple[Upstream, ...]
    destinations: tuple[Destination, ...]
    tries: tuple[Try, ...]
    speaks_http2: bool
    tries_by_http2: bool
    names: Names | None
    policies: Policies
