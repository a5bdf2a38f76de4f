"""What a rule may ask about: plain facts on the resolved mesh, under the names that policies use.

In a policy the fields are camelCase: ``callers_on_default_timeout`` is `service.callersOnDefaultTimeout`.
Every field has an empty value, so that the case of a policy's test states only what it is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import get_type_hints

from msgspec import Struct, field

from meshctl.diagnostics import Position
from meshctl.ir.change import MeshChange
from meshctl.spec import Source

Value = str | int | bool | timedelta | tuple[str, ...] | Mapping[str, str]
"""Everything that a field, a parameter or a message can hold."""

KINDS: Mapping[object, str] = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    timedelta: "a duration",
    tuple[str, ...]: "a list of texts",
    Mapping[str, str]: "a mapping of texts",
}
"""The types of facts, and what to call them."""

_NOT_FACTS = frozenset({"source", "timeout_at", "retries_at", "made", "places"})
_ZERO = timedelta()


class MeshFacts(Struct, frozen=True):
    """The mesh as a whole."""

    name: str = ""
    domain: str = ""
    trust_domain: str = ""
    services: int = 0
    proxies: tuple[str, ...] = ()
    """The kinds that its sidecars are of."""
    gateways: tuple[str, ...] = ()
    egress: str = "deny"
    metrics: bool = False
    tracing: bool = False
    sampling: int = 0
    """Of the requests that begin a trace, in whole percent; zero without tracing."""
    unused_issuers: tuple[str, ...] = ()
    """Issuers of tokens that no rule asks for."""
    certificate_lifetime: timedelta = _ZERO
    renew_before: timedelta = _ZERO
    source: Source | None = None


class ServiceFacts(Struct, frozen=True):
    """One service. ``instances`` counts the endpoints that take requests, ``zones`` names theirs; both empty for DNS."""

    name: str = ""
    owner: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    proxy: str = ""
    instances: int = 0
    zones: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    callers: tuple[str, ...] = ()
    callers_on_default_timeout: tuple[str, ...] = ()
    """Callers for which a route of this service has no written timeout."""
    callers_on_default_breaker: tuple[str, ...] = ()
    """Callers that nobody has written a circuit breaker for."""
    capacity: Mapping[str, str] = field(default_factory=dict)
    """The share of its weight that is in each zone, in whole percent."""
    protocol: str = "http"
    mtls: str = "strict"
    permissive_until: str = ""
    permissive_days: int = 0
    """Until the end of permissive, counted from today."""
    authorization: str = "declared"
    authorization_audit: bool = False
    open_to_anyone: bool = False
    """Whether some rule lets every identity of the mesh do everything."""
    wildcard_rules: tuple[str, ...] = ()
    """What each rule for every identity of the mesh lets in that is written under `allow`: `GET of exact /a`."""
    limit_requests: int = 0
    """Of `rateLimit`, in each of its sidecars; zero without one."""
    limit_per: timedelta = _ZERO
    limit_by_caller: bool = False
    carried_endpoints: int = 0
    """Those of others that its sidecar holds."""
    carried_routes: int = 0
    """The matches of others that its sidecar holds."""
    unused_subsets: tuple[str, ...] = ()
    """Subsets of its endpoints that no route of anybody names."""
    routes_for_nobody: tuple[str, ...] = ()
    """Routes with a match whose `from` names only those who do not call it."""
    admin_exposed: str = ""
    """The address of an admin listener that is off loopback."""
    source: Source | None = None


class RouteFacts(Struct, frozen=True):
    """One route of a service, as its callers see it (a caller that narrows it sees one of its own)."""

    name: str = ""
    service: str = ""
    callers: tuple[str, ...] = ()
    timeout: timedelta = timedelta()
    """Zero where it is switched off."""
    timeout_written: bool = False
    attempts: int = 0
    retry_on: tuple[str, ...] = ()
    """Conditions, and the statuses of HTTP and gRPC."""
    retries_answers: bool = False
    """Whether tries are repeated that an application may have seen."""
    retries_non_idempotent: bool = False
    """The same, of methods that are not idempotent."""
    retries_bounded: bool = False
    """Whether a retry budget or a circuit breaker is written for all that it leads to."""
    backoff_written: bool = False
    per_try_timeout: timedelta = _ZERO
    longest: timedelta = _ZERO
    """All tries at their per-try timeout, with the longest pauses between them; zero without a per-try timeout."""
    methods: tuple[str, ...] = ()
    """Empty where it takes any."""
    proxies: tuple[str, ...] = ()
    """The kinds that the callers' sidecars are of."""
    backends: tuple[str, ...] = ()
    weightless: tuple[str, ...] = ()
    """Backends that are written with weight zero."""
    weight_sum: int = 0
    """Of two and more backends with written weights."""
    lone_weight: bool = False
    """Whether the only backend has a written weight."""
    smallest_pool: int = 0
    """The fewest endpoints that one of its backends has; zero where they come from DNS."""
    guarded: bool = True
    """Whether all its backends have outlier detection or a health check."""
    mirrors: tuple[str, ...] = ()
    full_mirrors: tuple[str, ...] = ()
    """Those that get a copy of every request."""
    mirror_shares: tuple[str, ...] = ()
    """Each mirror with its share, as `audit 50%`."""
    takes: tuple[str, ...] = ()
    """Which requests each of its matches takes, as `GET of exact /a`."""
    source: Source | None = None


class MatchFacts(Struct, frozen=True):
    """One match of a route, in the order in which its virtual host tries them.

    Conditions are a kind and a value: `exact /a`, `prefix /a` (whole segments), `regex /a.*`; of a header or a
    query parameter `exact v`, `regex v` or `present`.
    """

    service: str = ""
    """The service, external or gateway whose route it is."""
    route: str = ""
    callers: tuple[str, ...] = ()
    hostnames: tuple[str, ...] = ()
    """Those of the virtual host."""
    path: str = "prefix /"
    methods: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    redirect: Mapping[str, str] = field(default_factory=dict)
    """What is written of `status`, `scheme`, `hostname`, `port`, `prefix` and `path`; empty where it does not redirect."""
    entrance: str = ""
    """Of a gateway's route, how clients come in: `https 8443`."""
    source: Source | None = None


class ExternalFacts(Struct, frozen=True):
    """One external: hosts outside the mesh."""

    name: str = ""
    owner: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    protocol: str = "http"
    tls: bool = False
    """Whether the callers' sidecars speak TLS with it, and verify its name."""
    server_name: str = ""
    """The name that is verified, where one is written that is none of its hosts."""
    callers: tuple[str, ...] = ()
    source: Source | None = None


class CallFacts(Struct, frozen=True):
    """Who sends requests to whom, over all routes that lead there: the longest timeout, the most retries."""

    caller: str = ""
    """A service or gateway."""
    callee: str = ""
    """A service or external."""
    protocol: str = "http"
    """``tcp`` has neither timeouts nor retries."""
    timeout: timedelta = timedelta()
    """Zero where it is switched off."""
    timeout_written: bool = False
    attempts: int = 0
    retry_on: tuple[str, ...] = ()
    """Conditions, and the statuses of HTTP and gRPC."""
    endpoints: int = 0
    """Of the callee as a whole; zero where they come from DNS."""
    outlier_detection: bool = False
    ejectable: int = 0
    """How many of the endpoints outlier detection may take out at once."""
    health_check: bool = False
    idle_timeout: timedelta = _ZERO
    """How long the caller keeps a connection that nobody uses."""
    callee_idle_timeout: timedelta = _ZERO
    """How long the callee's sidecar lets a connection or an answer be silent; zero of an external."""
    load_requests: int = 0
    """The declared load, of all instances of the caller; zero where none is declared."""
    load_per: timedelta = _ZERO
    in_flight: int = 0
    """Requests under way at once from each instance of the caller by the declared load and latency (Little's law)."""
    most_in_flight: int = 0
    """So many the circuit breaker lets be under way."""
    zone_blind: bool = False
    """Whether the callee has endpoints in the caller's zone and in others, and none of them comes first."""
    timeout_at: Position | None = None
    retries_at: Position | None = None
    source: Source | None = None


class ChangeFacts(Struct, frozen=True):
    """What a change touches, and whom it lets in; only `lint --against` knows of one."""

    sidecars: tuple[str, ...] = ()
    """Bundles whose files change, come or go."""
    routes: tuple[str, ...] = ()
    """`service/route` of each that some caller sees changed, come or gone."""
    callers: tuple[str, ...] = ()
    """Services and gateways, there before and after, whose own requests go another way, or may."""
    services_added: tuple[str, ...] = ()
    """Gateways too."""
    services_removed: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()
    """Callers and callees as `web -> orders`, where somebody is let in newly, or for more."""
    closed: tuple[str, ...] = ()
    """The same of calls that can be made no more."""
    ordered: tuple[str, ...] = ()
    """What changes on both sides of calls, so that it must be deployed in an order."""
    made: MeshChange | None = None
    places: Mapping[str, Source] = field(default_factory=dict)
    """Of services, externals and gateways."""
    source: Source | None = None


class RuleFacts(Struct, frozen=True):
    """One rule of `allow` or `deny`, as it holds; where nothing is under `allow`, what the mode lets in is one too.

    Of ``methods`` and ``paths`` any one, of ``headers`` and ``claims`` all; an empty part holds for every request.
    """

    service: str = ""
    effect: str = "allow"
    """`allow` or `deny`."""
    written: bool = True
    """Whether it stands under `allow` or `deny`; else it is what the mode of authorization lets in."""
    callers: tuple[str, ...] = ()
    """Names, `*` for every identity of the mesh, `unauthenticated`."""
    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    """Each a kind and a value, as of a match."""
    headers: Mapping[str, str] = field(default_factory=dict)
    jwt: str = ""
    """The name of the issuer of tokens; empty where none is asked for."""
    claims: Mapping[str, str] = field(default_factory=dict)
    source: Source | None = None


Facts = (
    MeshFacts | ServiceFacts | RouteFacts | MatchFacts | CallFacts | ExternalFacts | RuleFacts | ChangeFacts
)


class World(Struct, frozen=True):
    """All facts about one mesh."""

    mesh: MeshFacts
    services: Mapping[str, ServiceFacts]
    routes: tuple[RouteFacts, ...] = ()
    calls: tuple[CallFacts, ...] = ()
    matches: tuple[MatchFacts, ...] = ()
    externals: tuple[ExternalFacts, ...] = ()
    change: ChangeFacts | None = None
    """None where only the mesh itself is asked about."""
    rules: tuple[RuleFacts, ...] = ()
    permitted: Mapping[str, tuple[str, ...]] | None = None
    """Who is let in by each callee for more than its health; None: nobody has asked, and calls are taken for it."""
    doors: tuple[str, ...] = ()
    """Services that let in somebody without a certificate."""


SUBJECTS: Mapping[str, type[Facts]] = {
    "mesh": MeshFacts,
    "service": ServiceFacts,
    "route": RouteFacts,
    "match": MatchFacts,
    "call": CallFacts,
    "external": ExternalFacts,
    "change": ChangeFacts,
    "rule": RuleFacts,
}
"""What `select.kind` can name."""


def fields_of(facts: type[Facts]) -> Mapping[str, tuple[str, object]]:
    """The name in policies of each field, with its own name and its type."""
    return _fields_of(facts.__name__)


@cache
def _fields_of(name: str) -> Mapping[str, tuple[str, object]]:
    facts = next(each for each in SUBJECTS.values() if each.__name__ == name)
    hints = get_type_hints(facts)
    return {_camel(name): (name, hints[name]) for name in facts.__struct_fields__ if name not in _NOT_FACTS}


def values_of(facts: Facts) -> dict[str, Value]:
    """The fields under the names that policies use."""
    return {name: getattr(facts, own) for name, (own, _) in fields_of(type(facts)).items()}


def place(facts: Facts, *path: str) -> Position | None:
    """Where the user wrote the thing, or the part of it at ``path`` as far as that exists."""
    return facts.source.at(*path) if facts.source is not None else None


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(each.capitalize() for each in rest)
