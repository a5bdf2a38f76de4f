"""Where routes lead: a named location for each cluster under each policy, numbered as they are met."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from meshctl import ir
from meshctl.ir import RetryCondition
from meshctl.targets.nginx import circuit_breaking, mtls, quoting, retries, timeouts
from meshctl.targets.nginx.model import ByMethod, Destination
from meshctl.targets.nginx.quoting import Token

UNAVAILABLE = Token("@unavailable")
"""Answers 503."""

_YES, _NO = Token("true"), Token("false")

_Key = tuple[str, timedelta, bool, ir.RetryPolicy, bool]


@dataclass(slots=True)
class Destinations:
    """The destinations of one sidecar. Routes with the same backend and policy share one."""

    clusters: Mapping[str, ir.Cluster]
    by_method: list[ByMethod] = field(default_factory=list)
    _known: dict[_Key, Destination] = field(default_factory=dict)
    _leads_to: dict[_Key, tuple[Token, tuple[Destination, ...]]] = field(default_factory=dict)

    def add(self, backend: str, route: ir.Route) -> tuple[Token, tuple[Destination, ...]]:
        """Where ``route`` leads for ``backend``: a location or a variable that holds one, and what is behind it."""
        cluster = self.clusters[backend]
        if not cluster.endpoints:
            return UNAVAILABLE, ()
        policy = route.retries
        key = (backend, route.timeout.duration, route.timeout.written, policy, False)
        if key not in self._leads_to:
            plain = self._intern(key, cluster, route)
            if retries.depends_on_method(policy):
                careful = self._intern((*key[:4], True), cluster, route)
                self._leads_to[key] = (self._by_method(policy, careful, plain), (careful, plain))
            else:
                self._leads_to[key] = (plain.location, (plain,))
        return self._leads_to[key]

    def all(self) -> tuple[Destination, ...]:
        """Every destination, by number."""
        return tuple(self._known.values())

    def _by_method(self, policy: ir.RetryPolicy, idempotent: Destination, other: Destination) -> Token:
        variable = quoting.variable("by_method", len(self.by_method) + 1)
        methods = methods_of(policy.idempotent_methods)
        self.by_method.append(ByMethod(variable, methods, idempotent.location, other.location))
        return variable

    def _intern(self, key: _Key, cluster: ir.Cluster, route: ir.Route) -> Destination:
        if key not in self._known:
            self._known[key] = _destination(len(self._known) + 1, cluster, route, after_gateway_error=key[-1])
        return self._known[key]


def methods_of(methods: Iterable[str]) -> tuple[Token, ...]:
    """Methods as keys of a map. NGINX takes methods in upper case only, so its ignoring case does no harm."""
    return tuple(quoting.map_key(method) for method in methods)


def _destination(
    number: int, cluster: ir.Cluster, route: ir.Route, *, after_gateway_error: bool
) -> Destination:
    total = timeouts.total(route.timeout, cluster)
    retries_connect_failure = route.retries.retries_on(RetryCondition.CONNECT_FAILURE)
    return Destination(
        number=number,
        location=quoting.location(number),
        again=quoting.location(number) if retries_connect_failure else UNAVAILABLE,
        upstream=quoting.name(cluster.name),
        server_name=mtls.server_name(cluster.workload),
        limit=circuit_breaking.limit(cluster.circuit_breaker),
        attempts=retries.attempts(route.retries, after_gateway_error=after_gateway_error),
        retries_connect_failure=_YES if retries_connect_failure else _NO,
        next_upstream=retries.next_upstream(after_gateway_error=after_gateway_error),
        connect_timeout=quoting.duration(cluster.connect_timeout),
        connect_milliseconds=quoting.milliseconds(cluster.connect_timeout),
        timeout=quoting.duration(total),
        timeout_milliseconds=quoting.milliseconds(total),
        bounds_body=timeouts.bounds_body(route.timeout),
    )
