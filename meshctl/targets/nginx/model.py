"""The file as NGINX sees it. Every decision is taken and every string quoted; templates only print."""

from __future__ import annotations

from msgspec import Struct

from meshctl.targets.nginx.model_destinations import OriginTls
from meshctl.targets.nginx.model_outbound import Conditions, Outbound, Preread
from meshctl.targets.nginx.quoting import Token


class Tls(Struct, frozen=True):
    """What both directions of a hop have in common."""

    protocols: Token
    cipher_suites: Token
    crl: bool


class Caller(Struct, frozen=True):
    """A service that may call."""

    name: Token
    identity: Token


class Decision(Struct, frozen=True):
    """One rule: 1 lets in, 0 refuses."""

    pattern: Token
    verdict: Token


class Decisions(Struct, frozen=True):
    """Rules in order, where more counts than the caller's name. With ``audit`` a refusal is only written down."""

    identity: Token
    conditions: tuple[Conditions, ...]
    """One, or none."""
    key: Token
    rules: tuple[Decision, ...]
    audit: bool


class RateLimit(Struct, frozen=True):
    """A token bucket; ``per`` is an expression of Lua, in seconds."""

    requests: int
    per: Token
    burst: int
    by_caller: bool
    retry_after: int


class Doorway(Struct, frozen=True):
    """A port whose connections go on to one of ``sockets``, as the program ``look`` says that has seen the first bytes."""

    listens: tuple[Token, ...]
    look: Token
    idle_timeout: Token
    sockets: tuple[Token, ...]


class Plaintext(Struct, frozen=True):
    """Callers without a certificate, who are ``nobody`` in rules.

    ``told`` is what the application is told of others. With ``buckets`` what a rate limit goes by is not the same;
    it is that of others, and nobody has one of his own.
    """

    nobody: Token
    told: Token
    buckets: Token | None


class Inbound(Struct, frozen=True):
    """The listener of other sidecars. Neither callers nor decisions: everybody is refused."""

    listens: tuple[Token, ...]
    plain_listens: tuple[Token, ...]
    behind_doorway: bool
    plaintext: Plaintext | None
    application: Token
    multiplexed: bool
    grpc: bool
    module: Token
    """What the directives begin with that send requests on."""
    scheme: Token
    subject: Token
    names_one: Token | None
    """What the common name and the certificate of a caller are like, in hexadecimal; None where nobody shows one."""
    callers: tuple[Caller, ...]
    decisions: Decisions | None
    rate_limit: RateLimit | None
    identity_header: Token
    connect_timeout: Token
    idle_timeout: Token
    keepalive_timeout: Token


class Health(Struct, frozen=True):
    """The listener for load balancers. ``path`` is what the application is asked for, if anything."""

    listens: tuple[Token, ...]
    path: Token | None
    application: Token | None
    multiplexed: bool
    module: Token
    scheme: Token
    connect_timeout: Token
    idle_timeout: Token


class StreamEndpoint(Struct, frozen=True):
    """One server of a cluster."""

    address: Token
    weight: int
    max_fails: int
    fail_timeout: Token | None
    backup: bool


class StreamCluster(Struct, frozen=True):
    """The endpoints of one TCP callee."""

    name: Token
    method: Token | None
    endpoints: tuple[StreamEndpoint, ...]


class StreamName(Struct, frozen=True):
    """A name that NGINX looks up for each connection, and how long an answer is good."""

    host: Token
    port: int
    resolvers: tuple[Token, ...]
    refresh: Token


class StreamListener(Struct, frozen=True):
    """A local port. Not ``reachable``: every connection is closed."""

    listens: tuple[Token, ...]
    zone: Token
    """What counts its connections."""
    cluster: Token
    name: StreamName | None
    reachable: bool
    server_name: Token | None
    origin_tls: OriginTls | None
    limit: int
    connect_timeout: Token
    idle_timeout: Token


class PassedName(Struct, frozen=True):
    """A server name, and the socket of the inner server that it leads to."""

    name: Token
    leads_to: Token


class SniListener(Struct, frozen=True):
    """A local port for TLS that is passed through. ``unknown`` holds something where no name fits."""

    listens: tuple[Token, ...]
    variable: Token
    unknown: Token
    names: tuple[PassedName, ...]
    idle_timeout: Token


class StreamDecision(Struct, frozen=True):
    """A subject, and whether its streams are let in."""

    subject: Token
    allowed: bool


class StreamInbound(Struct, frozen=True):
    """The listener of other sidecars where the application speaks no HTTP.

    With ``audit`` a refusal is only written down, and everybody of the mesh, whose subject is like ``subject``,
    gets to the application.
    """

    listens: tuple[Token, ...]
    application: Token
    known_by: Token
    """The variable of what a caller is known by."""
    subject: Token
    names_one: Token | None
    """As in :class:`Inbound`."""
    audit: bool
    plain_listens: tuple[Token, ...]
    grants_plaintext: bool
    """Whether rules let a stream without TLS in."""
    decisions: tuple[StreamDecision, ...]
    connect_timeout: Token
    idle_timeout: Token

    @property
    def takes_plaintext(self) -> bool:
        """Whether a stream without TLS gets to the application."""
        return self.audit or self.grants_plaintext


class Stream(Struct, frozen=True):
    """All that is no HTTP."""

    prereads: tuple[Preread, ...]
    passed: tuple[SniListener, ...]
    clusters: tuple[StreamCluster, ...]
    listeners: tuple[StreamListener, ...]
    inbound: StreamInbound | None
    doorway: Doorway | None

    @property
    def scripted(self) -> bool:
        """Whether a program looks at first bytes, or at certificates."""
        return bool(self.prereads or self.doorway or self.reads_certificates)

    @property
    def reads_certificates(self) -> bool:
        """Whether callers show certificates here."""
        return self.inbound is not None and self.inbound.names_one is not None


class Admin(Struct, frozen=True):
    """The listener for probes."""

    listen: Token
    build: Token


class Metrics(Struct, frozen=True):
    """What stands in every series, and the upper bounds of the histogram's buckets in milliseconds.

    ``ejecting`` are the callees (and subsets) whose endpoints can be ejected.
    """

    labels: Token
    service: Token
    buckets: tuple[int, ...]
    build: Token
    ejecting: tuple[Token, ...]


class KeptHeader(Struct, frozen=True):
    """A request header for the access log, and NGINX's variable for its first line."""

    number: int
    variable: Token
    redacted: bool


class Kept(Struct, frozen=True):
    """What the access log tells of requests besides what every line has; ``query`` is an expression of Lua."""

    query: Token | None
    headers: tuple[KeptHeader, ...]


class LogFormats(Struct, frozen=True):
    """One line each."""

    inbound: Token
    outbound: Token
    inbound_stream: Token
    outbound_stream: Token


class LogSampling(Struct, frozen=True):
    """The share of the lines of what went well that are written, None for none of them."""

    share: Token | None
    audited: bool
    """Whether requests that should have been refused are among the inbound ones."""


class Configuration(Struct, frozen=True):
    """The whole file."""

    service: Token
    build: Token
    """By which inner servers know their own from workers of before a reload."""
    canonical_request: Token
    log_formats: LogFormats | None
    kept: Kept | None
    log_sampling: LogSampling | None
    tls: Tls
    admin: Admin
    programs: tuple[Token, ...]
    """Modules of Lua that this sidecar needs, besides ``mesh``."""
    sockets: tuple[Token, ...]
    """Of inner servers."""
    speaks_http2: bool
    untrusted_headers: tuple[Token, ...]
    outbound: Outbound
    inbound: Inbound | None
    health: Health | None
    metrics: Metrics | None
    tracing: Token | None
    """The share of traces that begin here and are sampled, as an expression of Lua."""
    stream: Stream | None

    @property
    def files(self) -> tuple[str, ...]:
        """The programs that the file is not complete without."""
        look = ("http2.js",) if self.stream and self.stream.prereads else ()
        doorway = ("doorway.js",) if self.stream and self.stream.doorway else ()
        names = ("mtls.js",) if self.stream and self.stream.reads_certificates else ()
        return ("mesh.lua", *(f"{name}.lua" for name in self.programs), *look, *doorway, *names)
