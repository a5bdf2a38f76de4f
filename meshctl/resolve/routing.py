"""Routes in the order in which they are tried, each match on its own, by the names under which they answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct, structs

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Related
from meshctl.resolve import fault_injection, filters, matching, mirroring, retries, splitting, timeouts
from meshctl.resolve.layers import Layers, layer
from meshctl.resolve.precedence import EVERY, specificity, unreachable
from meshctl.spec import Source
from meshctl.spec.routing import RouteMatchSpec, RouteSpec
from meshctl.spec.service import ServiceSpec

DEFAULT_ROUTE = "default"
"""The name of the only route of a service that has none of its own."""

_EVERYTHING = RouteSpec.model_construct(name=DEFAULT_ROUTE)

WILDCARD = "*."
"""What a host name begins with that stands for all names below it."""

LayersOf = Callable[[RouteSpec], Layers]
"""The layers below a route: for a service always the same ones, for a gateway those of the route's backend."""

POLICY = ("timeout", "retries", "body_timeout", "streaming", "idempotent")
"""The fields of a layer that bound the requests of a route; all others are of clusters."""

_POLICY = frozenset(POLICY)


def hostnames(service: str, domain: str) -> tuple[str, ...]:
    """The names under which callers know a service."""
    return (service, f"{service}.{domain}")


class _Policies(Struct, frozen=True):
    """What bounds the requests of a route."""

    timeout: ir.Timeout
    body_timeout: ir.BodyTimeout
    streaming: bool
    retries: ir.RetryPolicy
    asks: tuple[ir.FeatureUse, ...]


_ANSWERED = _Policies(
    ir.Timeout(timeouts.DEFAULT_TIMEOUT), ir.BodyTimeout(), streaming=False, retries=retries.NEVER, asks=()
)
"""Of a route that answers by itself: nothing is asked of anyone."""


class _Row(Struct, frozen=True):
    """One match of one route, before anyone's policies."""

    index: int
    callers: frozenset[str]
    """Empty: for every caller."""
    route: ir.Route


class RouteTable:
    """The routes of a service, an external or a gateway, in order.

    ``names`` are those that routes without hostnames answer under; ``target`` takes the requests of routes
    without backends.
    """

    def __init__(
        self,
        name: str,
        names: Sequence[str],
        routes: Sequence[RouteSpec] | None,
        source: Source,
        *,
        listed: bool = False,
        target: str = "",
    ) -> None:
        self._name = name
        self._target = target or name
        self._routes = tuple(routes) if routes is not None else (_EVERYTHING,)
        self._source = source
        rows = [
            (specificity(match), row)
            for index, route in enumerate(self._routes)
            for match, row in self._matches(index, route)
        ]
        if not listed:
            # Python's sort is stable, so equals keep the order of the file.
            rows.sort(key=lambda each: each[0])
        self._rows = [row for _, row in rows]
        self._hosts = self._by_hostnames(names)
        self._wildcards = dict(self._asked_wildcards())
        self.callers = frozenset(caller for row in self._rows for caller in row.callers)
        """Those whom a match names; all others see the same routes."""

    def virtual_hosts(self, caller: str, layers_of: LayersOf) -> tuple[ir.VirtualHost, ...]:
        """The routes as ``caller`` sees them: the virtual host of the own names first."""
        policies: dict[int, _Policies] = {}
        known: dict[int, tuple[Layers, _Policies]] = {}
        for index, route in enumerate(self._routes):
            policies[index] = self._policies(index, route, layers_of(route), known)
        seen = [
            (row.index, _seen(row.route, policies[row.index]))
            for row in self._rows
            if not row.callers or caller in row.callers
        ]
        return tuple(
            ir.VirtualHost(
                self._name,
                names,
                tuple(route for index, route in seen if index in indexes),
                tuple(each for name in names for each in self._wildcards.get(name, ())),
            )
            for indexes, names in self._hosts
        )

    def _policies(
        self, index: int, route: RouteSpec, layers: Layers, known: dict[int, tuple[Layers, _Policies]]
    ) -> _Policies:
        if route.redirect is not None or route.respond is not None:
            return _ANSWERED
        if not _POLICY.isdisjoint(route.model_fields_set):
            return _policies((*layers, layer(route, self._source["routes"][index])))
        if id(layers) not in known:
            known[id(layers)] = (layers, _policies(layers))
        return known[id(layers)][1]

    def _matches(self, index: int, route: RouteSpec) -> Iterator[tuple[RouteMatchSpec, _Row]]:
        source = self._source["routes"][index]
        seen = self._unmatched(route, source)
        for number, match in enumerate(route.matches or (EVERY,)):
            here = source["matches"][number]
            resolved = _match(match, here)
            asks = seen.asks
            at = here.at("from") if match.callers else None
            if at is not None:
                asks = (*asks, ir.FeatureUse(ir.Feature.CALLER_MATCH, at))
            yield (
                match,
                _Row(
                    index,
                    frozenset(match.callers or ()),
                    structs.replace(seen, match=resolved, asks=asks),
                ),
            )

    def _unmatched(self, route: RouteSpec, source: Source) -> ir.Route:
        answer = filters.answer(route, source)
        return ir.Route(
            name=route.name,
            match=ir.RouteMatch(matching.EVERYTHING, (), ()),
            backends=() if answer else splitting.weighted_clusters(self._target, route.backends),
            timeout=_ANSWERED.timeout,
            retries=_ANSWERED.retries,
            answer=answer,
            rewrite=filters.rewrite(route, source),
            request_headers=filters.header_changes(
                route.request_headers, ir.Feature.REQUEST_HEADERS, source, "requestHeaders"
            ),
            response_headers=filters.header_changes(
                route.response_headers, ir.Feature.RESPONSE_HEADERS, source, "responseHeaders"
            ),
            mirrors=mirroring.mirrors(self._target, route.mirror, source["mirror"])
            if route.mirror and not answer
            else (),
            fault=fault_injection.fault(route.fault, source["fault"]) if route.fault and not answer else None,
            at=source.here if source.node is not None else None,
        )

    def _by_hostnames(self, names: Sequence[str]) -> list[tuple[frozenset[int], tuple[str, ...]]]:
        """Which routes answer under which names; names with the same routes are one virtual host."""
        every = dict.fromkeys((*names, *(name for route in self._routes for name in route.hostnames or ())))
        hosts: dict[frozenset[int], list[str]] = {}
        for name in every:
            indexes = frozenset(
                index
                for index, route in enumerate(self._routes)
                if name in (names if route.hostnames is None else route.hostnames)
            )
            hosts.setdefault(indexes, []).append(name)
        return [(indexes, tuple(listed)) for indexes, listed in hosts.items()]

    def _asked_wildcards(self) -> Iterator[tuple[str, tuple[ir.FeatureUse, ...]]]:
        for index, route in enumerate(self._routes):
            for number, name in enumerate(route.hostnames or ()):
                if not name.startswith(WILDCARD):
                    continue
                at = self._source["routes"][index]["hostnames"].at(number)
                if at is not None:
                    yield name, (ir.FeatureUse(ir.Feature.WILDCARD_HOSTS, at),)


def table(name: str, service: ServiceSpec, domain: str, source: Source) -> RouteTable:
    """The routes of a service; ``source`` is the service's place."""
    listed = service.route_order == "listed"
    return RouteTable(name, hostnames(name, domain), service.routes, source, listed=listed)


def _seen(route: ir.Route, policies: _Policies) -> ir.Route:
    return structs.replace(
        route,
        timeout=policies.timeout,
        retries=policies.retries,
        body_timeout=policies.body_timeout,
        streaming=policies.streaming,
        asks=(*route.asks, *policies.asks),
    )


def _policies(layers: Layers) -> _Policies:
    return _Policies(
        timeout=timeouts.timeout(layers),
        body_timeout=timeouts.body_timeout(layers),
        streaming=timeouts.streaming(layers),
        retries=retries.retry_policy(layers),
        asks=timeouts.asked_streaming(layers),
    )


def _match(match: RouteMatchSpec, source: Source) -> ir.RouteMatch:
    return ir.RouteMatch(
        path=matching.path(match.path, source["path"]) if match.path else matching.EVERYTHING,
        methods=tuple(sorted(set(match.methods))) if match.methods else (),
        headers=matching.headers(match.headers, source["headers"]) if match.headers else (),
        queries=matching.queries(match.query, source["query"]) if match.query else (),
        at=source.here if source.node is not None else None,
    )


def check(routes: Sequence[RouteSpec] | None, source: Source, *, listed: bool) -> Iterator[Finding]:
    """Faults that the routes of one service or gateway have by themselves; ``source`` is their owner's place."""
    written = list(routes or ())
    here = source["routes"]
    first_of: dict[str, int] = {}
    for index, route in enumerate(written):
        first = first_of.setdefault(route.name, index)
        if first != index:
            before = here[first].at("name")
            yield finding(
                "duplicate-definition",
                here[index].at("name"),
                f"a second route named `{route.name}`",
                related=(Related(before, "the first one"),) if before else (),
            )
        yield from _check_route(route, here[index])
    yield from filters.check_loops(written, here, listed=listed)
    yield from unreachable(written, here, listed=listed)


def _check_route(route: RouteSpec, source: Source) -> Iterator[Finding]:
    for number, match in enumerate(route.matches or ()):
        yield from _check_match(match, source["matches"][number])
    if route.hostnames:
        yield from matching.check_repeats("one is enough", route.hostnames, source["hostnames"])
    if route.backends is not None:
        yield from splitting.check(route.backends, source["backends"])
    yield from filters.check(route, source)
    if route.mirror:
        yield from mirroring.check(route.mirror, source["mirror"])
    if route.fault is not None:
        yield from fault_injection.check(route.fault, source["fault"])


def _check_match(match: RouteMatchSpec, source: Source) -> Iterator[Finding]:
    if not match.model_fields_set:
        yield finding("ambiguous-match", source.here, "this match has no condition")
    if match.path is not None:
        yield from matching.check_path(match.path, source["path"])
    if match.methods:
        yield from matching.check_repeats(
            "any one of the methods is enough", match.methods, source["methods"]
        )
    if match.callers:
        yield from matching.check_repeats("any one of the callers is enough", match.callers, source["from"])
    if match.headers:
        yield from matching.check_cases("condition on the header", source["headers"])
        yield from matching.check_values(match.headers, "header", source["headers"])
    if match.query:
        yield from matching.check_values(match.query, "query parameter", source["query"])
