"""Where routes lead: a named location for each cluster under each policy, numbered as they are met."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from meshctl import ir
from meshctl.ir import RetryCondition
from meshctl.targets.nginx import (
    circuit_breaking,
    discovery,
    egress,
    filters,
    http2,
    load_balancing,
    quoting,
    retries,
    timeouts,
)
from meshctl.targets.nginx.model_destinations import ByMethod, Destination, Try
from meshctl.targets.nginx.quoting import Token, word

UNAVAILABLE = Token("@unavailable")
"""Answers 503."""

_YES, _NO = Token("true"), Token("false")

_Key = tuple[object, ...]


class Destinations(Struct):
    """The destinations of one sidecar. Routes with the same backend and policy share one."""

    clusters: Mapping[str, ir.Cluster]
    tells_grpc: bool
    """Whether answers of our own may have to be ones of gRPC."""
    by_method: list[ByMethod] = field(default_factory=list)
    tries: dict[tuple[str, bool], Try] = field(default_factory=dict)
    _known: dict[_Key, Destination] = field(default_factory=dict)
    _leads_to: dict[_Key, tuple[Token, tuple[Destination, ...]]] = field(default_factory=dict)

    def add(self, backend: str, route: ir.Route) -> tuple[Token, tuple[Destination, ...]]:
        """Where ``route`` leads for ``backend``: a location or a variable that holds one, and what is behind it."""
        cluster = self.clusters[backend]
        if not cluster.endpoints and cluster.dns is None:
            return UNAVAILABLE, ()
        key = (
            backend,
            route.timeout.duration,
            route.timeout.written,
            route.retries,
            route.body_timeout.duration,
            route.streaming,
            filters.changes_path(route),
            bool(route.response_headers),
            bool(route.mirrors),
        )
        if key not in self._leads_to:
            self._leads_to[key] = self._leading(key, cluster, route)
        return self._leads_to[key]

    def all(self) -> tuple[Destination, ...]:
        """Every destination, by number."""
        return tuple(self._known.values())

    def balanced(self) -> set[str]:
        """The clusters that NGINX itself proxies to, without the hop."""
        return {str(each.upstream) for each in self._known.values() if each.retries is None}

    def _leading(
        self, key: _Key, cluster: ir.Cluster, route: ir.Route
    ) -> tuple[Token, tuple[Destination, ...]]:
        policy = route.retries
        if retries.needs_hop(policy, cluster):
            hop = self._intern((*key, None), cluster, route, careful=False)
            return hop.location, (hop,)
        after_gateway_error = retries.takes_gateway_errors(policy)
        plain = self._intern((*key, after_gateway_error), cluster, route, careful=after_gateway_error)
        if not retries.depends_on_method(policy):
            return plain.location, (plain,)
        careful = self._intern((*key, True), cluster, route, careful=True)
        return self._by_method(policy, careful, plain), (careful, plain)

    def _by_method(self, policy: ir.RetryPolicy, idempotent: Destination, other: Destination) -> Token:
        variable = quoting.variable("by_method", len(self.by_method) + 1)
        methods = methods_of(policy.idempotent_methods)
        self.by_method.append(ByMethod(variable, methods, idempotent.location, other.location))
        return variable

    def _intern(self, key: _Key, cluster: ir.Cluster, route: ir.Route, *, careful: bool) -> Destination:
        if key not in self._known:
            number = len(self._known) + 1
            tried = self._try(cluster, route) if retries.needs_hop(route.retries, cluster) else None
            self._known[key] = _destination(
                number, cluster, route, tried, after_gateway_error=careful, tells_grpc=self.tells_grpc
            )
        return self._known[key]

    def _try(self, cluster: ir.Cluster, route: ir.Route) -> Try:
        key = (cluster.name, route.streaming)
        if key not in self.tries:
            self.tries[key] = _one_try(len(self.tries) + 1, cluster, streaming=route.streaming)
        return self.tries[key]


def methods_of(methods: Iterable[str]) -> tuple[Token, ...]:
    """Methods as keys of a map. NGINX takes methods in upper case only, so its ignoring case does no harm."""
    return tuple(quoting.map_key(method) for method in methods)


def _destination(
    number: int,
    cluster: ir.Cluster,
    route: ir.Route,
    tried: Try | None,
    *,
    after_gateway_error: bool,
    tells_grpc: bool,
) -> Destination:
    total = timeouts.total(route.timeout, cluster)
    policy = route.retries
    tries_again = policy.retries_on(RetryCondition.CONNECT_FAILURE)
    mesh_hop = cluster.origin is None and tried is None
    return Destination(
        number=number,
        location=quoting.location(number),
        again=quoting.location(number) if tries_again or tried else UNAVAILABLE,
        upstream=quoting.name(cluster.name),
        multiplexed=cluster.protocol.multiplexed,
        module=http2.module(cluster.protocol),
        pass_to=_pass_to(cluster, route, tried),
        server_name=None if tried else egress.server_name(cluster),
        origin_tls=None if tried else egress.origin_tls(cluster),
        limit=circuit_breaking.limit(cluster.circuit_breaker),
        attempts=policy.attempts
        if tried
        else retries.attempts(policy, after_gateway_error=after_gateway_error),
        retries_connect_failure=_YES if tries_again else _NO,
        next_upstream=word("off")
        if tried
        else retries.next_upstream(after_gateway_error=after_gateway_error),
        connect_timeout=quoting.duration(cluster.connect_timeout),
        connect_milliseconds=quoting.milliseconds(cluster.connect_timeout),
        idle_timeout=quoting.duration(cluster.idle_timeout),
        timeout_milliseconds=quoting.milliseconds(total),
        bounded=timeouts.bounds_body(route.timeout),
        body_timeout=timeouts.body(route.body_timeout),
        streaming=route.streaming,
        intercepts=mesh_hop or tried is not None,
        waits=bool(cluster.circuit_breaker.max_pending),
        access=_access(cluster, route, tried),
        header_filter=_header_filter(cluster, route, tried, tells_grpc=tells_grpc),
        log=_log(cluster, route, tried),
        retries=retries.retries(policy, cluster, tried.location) if tried else None,
    )


def _pass_to(cluster: ir.Cluster, route: ir.Route, tried: Try | None) -> Token:
    if cluster.protocol.multiplexed:
        return Token("grpc://tries_http2" if tried else f"{_scheme(cluster)}://{quoting.name(cluster.name)}")
    base = "http://tries" if tried else f"{egress.scheme(cluster)}://{quoting.name(cluster.name)}"
    return Token(f"{base}$target" if filters.changes_path(route) else base)


def _scheme(cluster: ir.Cluster) -> str:
    if not cluster.protocol.multiplexed:
        return egress.scheme(cluster)
    return "grpcs" if egress.scheme(cluster) == "https" else "grpc"


def _access(cluster: ir.Cluster, route: ir.Route, tried: Try | None) -> Token | None:
    calls = ["circuit_breaking.wait()"] if cluster.circuit_breaker.max_pending else []
    if route.mirrors:
        calls.append("mirroring.mirror()")
    multiplexed = cluster.protocol.multiplexed
    if multiplexed and filters.changes_path(route):
        calls.append("filters.set_target()")
    if tried:
        calls.append("tries.begin()")
    else:
        if multiplexed and not route.streaming:
            calls.append("ngx.req.read_body()")  # NGINX would hand it on in pieces, and only once
        if cluster.dns is not None:
            calls.append("names.look_up()")
    return Token(" ".join(calls)) if calls else None


def _header_filter(cluster: ir.Cluster, route: ir.Route, tried: Try | None, *, tells_grpc: bool) -> Token:
    mesh_hop = cluster.origin is None
    calls = [] if tried else _observing(cluster)
    calls.append(
        "tries.handed_on()" if tried else "mesh.hop_answer()" if mesh_hop else "mesh.origin_answer()"
    )
    if route.response_headers:
        calls.append("filters.change_answer()")
    if route.streaming:
        calls.append("mesh.announce_close()")
    if _cuts(route):
        calls.append("mesh.bound()")
    if tells_grpc:
        calls.append("grpc.answer()")
    return Token(" ".join(calls))


def _observing(cluster: ir.Cluster) -> list[str]:
    """At the head of an answer: the status is still the one that came."""
    if not load_balancing.observed(cluster):
        return []
    return [f"peers.answered({_YES if cluster.origin is None else _NO})"]


def _log(cluster: ir.Cluster, route: ir.Route, tried: Try | None) -> Token | None:
    """None where the server's own is enough, which takes the place of nothing."""
    calls = ["mesh.bounded_end()"] if _cuts(route) else []
    if tried and retries.is_bounded(route.retries, cluster):
        calls.append("tries.ended()")
    if calls and not tried and load_balancing.observed(cluster):
        calls.append("peers.ended()")
    if calls and cluster.circuit_breaker.max_pending:
        calls.append("circuit_breaking.ended()")
    return Token(" ".join(calls)) if calls else None


def _cuts(route: ir.Route) -> bool:
    return timeouts.bounds_body(route.timeout) or bool(route.retries.per_try_timeout.duration)


def _one_try(number: int, cluster: ir.Cluster, *, streaming: bool) -> Try:
    upstream = Token(f"try_{number}")
    multiplexed = cluster.protocol.multiplexed
    return Try(
        location=Token(f"@try_{number}"),
        upstream=upstream,
        multiplexed=multiplexed,
        module=http2.module(cluster.protocol),
        pass_to=Token(f"{_scheme(cluster)}://{upstream}"),
        server_name=egress.server_name(cluster),
        origin_tls=egress.origin_tls(cluster),
        connect_timeout=quoting.duration(cluster.connect_timeout),
        timeout=quoting.duration(cluster.idle_timeout),
        streaming=streaming,
        pool=discovery.pool(cluster),
        idle_timeout=quoting.duration(cluster.idle_timeout),
        observed=quoting.lua_string(cluster.name) if load_balancing.observed(cluster) else None,
        header_filter=Token(" ".join([*_observing(cluster), "tries.answer()"])),
    )
