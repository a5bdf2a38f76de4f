"""The outbound half of the file, shaped like it: listeners, conditions, tables of routes, filters."""

from __future__ import annotations

from msgspec import Struct

from meshctl.targets.nginx.model_destinations import ByMethod, Destination, Names, Split, Try, Upstream
from meshctl.targets.nginx.model_policies import Policies
from meshctl.targets.nginx.quoting import Token


class Route(Struct, frozen=True):
    """What becomes of the requests of a route."""

    number: int
    name: Token
    leads_to: Token


class Rule(Struct, frozen=True):
    """One match of a virtual host's ordered table."""

    pattern: Token
    route: int


class Table(Struct, frozen=True):
    """Rules in order, and the route of what none of them takes (0: there is none)."""

    variable: Token
    rules: tuple[Rule, ...]
    otherwise: int


class Bucket(Struct, frozen=True):
    """The table for one first segment of the path."""

    segment: Token
    table: Token


class Buckets(Struct, frozen=True):
    """Which table serves which segment of the path; ``rest`` serves all others."""

    variable: Token
    segment: Token
    pattern: Token
    captured: Token
    rest: Token
    each: tuple[Bucket, ...]


class Routing(Struct, frozen=True):
    """The tables of one virtual host. ``variable`` holds the number of the route."""

    key: Token
    variable: Token
    tables: tuple[Table, ...]
    buckets: tuple[Buckets, ...]


class ExactValue(Struct, frozen=True):
    """A condition that asks for one value."""

    value: Token
    number: int


class RegexValue(Struct, frozen=True):
    """A condition that asks for a regular expression, anchored at both ends."""

    pattern: Token
    number: int


class NamedConditions(Struct, frozen=True):
    """What is asked of one header or query parameter; ``present`` is the condition's number, or 0."""

    name: Token
    exact: tuple[ExactValue, ...]
    regexes: tuple[RegexValue, ...]
    present: int


class Conditions(Struct, frozen=True):
    """What Lua looks at; ``variable`` holds the numbers of the conditions that hold."""

    variable: Token
    key: Token
    headers: tuple[NamedConditions, ...]
    queries: tuple[NamedConditions, ...]


class HeaderLine(Struct, frozen=True):
    """One line of a header; ``joined`` to the one that is there, where NGINX keeps no two."""

    name: Token
    value: Token
    joined: bool


class HeaderChanges(Struct, frozen=True):
    """Removed, replaced and appended, in this order."""

    removed: tuple[Token, ...]
    replaced: tuple[HeaderLine, ...]
    appended: tuple[HeaderLine, ...]


class PathChange(Struct, frozen=True):
    """Either a whole new path, or a new beginning in place of the first ``matched`` characters."""

    matched: int
    prefix: Token | None
    path: Token | None


class Redirect(Struct, frozen=True):
    """Empty tokens and port 0: as the client had it."""

    status: int
    scheme: Token
    hostname: Token
    port: int
    path: PathChange


class DirectResponse(Struct, frozen=True):
    """An answer of the sidecar's own."""

    status: int
    body: Token


class Filter(Struct, frozen=True):
    """What a route changes, or answers by itself; Lua knows it by the route's number."""

    number: int
    rewrite: PathChange | None
    hostname: Token | None
    request_headers: HeaderChanges | None
    response_headers: HeaderChanges | None
    redirect: Redirect | None
    response: DirectResponse | None


class Fault(Struct, frozen=True):
    """Failures on purpose of a route, by its number. Shares and times are expressions of Lua; status 0: none."""

    number: int
    delay: Token
    delay_share: Token
    status: int
    abort_share: Token


class VirtualHost(Struct, frozen=True):
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


class ServerTls(Struct, frozen=True):
    """What a gateway shows to the world."""

    certificate: Token
    key: Token
    protocols: Token


class Preread(Struct, frozen=True):
    """Where a stream takes connections, and the sockets of the inner listeners that it leads them to."""

    number: int
    listens: tuple[Token, ...]
    http1: Token
    http2: Token
    idle_timeout: Token


class Listener(Struct, frozen=True):
    """Where requests come in. Without ``fallback`` some virtual host takes every host."""

    listens: tuple[Token, ...]
    """None with ``preread``, which has them."""
    preread: Preread | None
    http2: bool
    idle_timeout: Token
    tls: ServerTls | None
    fallback: bool
    virtual_hosts: tuple[VirtualHost, ...]


class Outbound(Struct, frozen=True):
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
