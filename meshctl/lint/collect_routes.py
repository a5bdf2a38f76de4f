"""The facts about routes: what each does with its requests, and which requests it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import chain

from meshctl import ir
from meshctl.ir.retries import BEFORE_THE_APPLICATION
from meshctl.lint.facts import MatchFacts, RouteFacts
from meshctl.lint.literals import requests_text
from meshctl.spec import Source, Spec
from meshctl.spec.routing import RouteSpec
from meshctl.spec.splitting import BackendSpec

Clusters = Mapping[str, Mapping[str, ir.Cluster]]
"""The clusters of each caller by their names."""

_BOUNDS = frozenset({ir.Feature.MAX_RETRIES, ir.Feature.MAX_REQUESTS})

_Views = dict[int, tuple[ir.VirtualHost, list[str]]]


def callees(route: ir.Route) -> set[str]:
    """The services and externals that a route leads to."""
    return {each.cluster.partition(".")[0] for each in route.backends}


def is_decided(route: ir.Route) -> bool:
    """Whether somebody has said how long this may take, or nothing is asked of anyone."""
    return route.timeout.written or route.streaming or route.answer is not None


def retry_on(policy: ir.RetryPolicy) -> tuple[str, ...]:
    """Everything on which a policy tries again, as the user writes it."""
    return (
        *(each.value for each in policy.conditions),
        *map(str, policy.statuses),
        *policy.grpc_statuses,
    )


def retries_answers(policy: ir.RetryPolicy) -> bool:
    """Whether a policy repeats tries that an application may have seen."""
    seen = set(policy.conditions) - set(BEFORE_THE_APPLICATION)
    return policy.attempts > 0 and bool(seen or policy.statuses or policy.grpc_statuses)


def routes(
    sidecars: Mapping[str, ir.Sidecar], clusters: Clusters, places: Mapping[str, Source], spec: Spec
) -> tuple[RouteFacts, ...]:
    """Every route that sends requests on, once for all callers that see the same."""
    # Callers that narrow nothing share one object, and so one fact.
    views: _Views = {}
    for caller, sidecar in sidecars.items():
        for host in sidecar.outbound.virtual_hosts:
            views.setdefault(id(host), (host, []))[1].append(caller)
    written = _written(spec)
    return tuple(
        _route(route, each, host, callers, sidecars, clusters, written, places[host.service])
        for host, callers in sorted(views.values(), key=lambda each: (each[0].service, each[1]))
        for route, each in _by_name(host).items()
    )


def _by_name(host: ir.VirtualHost) -> dict[str, list[ir.Route]]:
    """The matches of each route that sends requests on."""
    found: dict[str, list[ir.Route]] = {}
    for route in host.routes:
        if route.answer is None:
            found.setdefault(route.name, []).append(route)
    return found


def _written(spec: Spec) -> dict[tuple[str, str], tuple[int, RouteSpec]]:
    """Each written route, by its owner's name and its own, with its index."""
    services, gateways = spec.written.services or {}, spec.written.gateways or {}
    owned = chain(
        ((name, each.routes) for name, each in services.items()),
        ((name, each.routes) for name, each in gateways.items()),
    )
    return {
        (name, route.name): (index, route)
        for name, routes in owned
        for index, route in enumerate(routes or ())
    }


def _route(
    name: str,
    rows: Sequence[ir.Route],
    host: ir.VirtualHost,
    callers: Sequence[str],
    sidecars: Mapping[str, ir.Sidecar],
    clusters: Clusters,
    written: Mapping[tuple[str, str], tuple[int, RouteSpec]],
    place: Source,
) -> RouteFacts:
    route = rows[-1]
    index, own = written.get((host.service, name), (None, None))
    known = clusters[callers[0]]
    leads_to = [known[each.cluster] for each in route.backends if each.cluster in known]
    backends = (own.backends if own is not None else None) or []
    answers = retries_answers(route.retries)
    return RouteFacts(
        name=name,
        service=host.service,
        callers=tuple(sorted(callers)),
        timeout=route.timeout.duration,
        timeout_written=is_decided(route),
        attempts=route.retries.attempts,
        retry_on=retry_on(route.retries),
        retries_answers=answers,
        retries_non_idempotent=answers and route.retries.non_idempotent,
        retries_bounded=route.retries.budget is not None
        or (bool(leads_to) and all(map(_is_bounded, leads_to))),
        backoff_written=route.retries.backoff is not None,
        per_try_timeout=route.retries.per_try_timeout.duration,
        longest=_longest(route.retries),
        methods=_methods(rows),
        proxies=tuple(sorted({sidecars[each].proxy.value for each in callers})),
        backends=tuple(each.cluster for each in route.backends),
        weightless=tuple(_backend_name(each) for each in backends if each.weight == 0),
        weight_sum=_weight_sum(backends),
        lone_weight=len(backends) == 1 and backends[0].weight is not None,
        smallest_pool=min((len(each.endpoints) for each in leads_to), default=0),
        guarded=all(each.outlier_detection or each.health_check for each in leads_to),
        mirrors=tuple(each.cluster for each in route.mirrors if each.share),
        full_mirrors=tuple(each.cluster for each in route.mirrors if each.share == 1),
        mirror_shares=tuple(
            f"{each.cluster} {float(each.share * 100):.6g}%" for each in route.mirrors if each.share
        ),
        takes=tuple(dict.fromkeys(_match_text(each.match) for each in rows)),
        source=place["routes"][index] if index is not None else place,
    )


def _match_text(match: ir.RouteMatch) -> str:
    conditions = [f"{each.name} is {value_text(each)}" for each in match.headers]
    conditions += [f"?{each.name} is {value_text(each)}" for each in match.queries]
    return requests_text(match.methods, [f"{match.path.kind} {match.path.value}"], conditions)


def _is_bounded(cluster: ir.Cluster) -> bool:
    return any(each.feature in _BOUNDS for each in cluster.circuit_breaker.asks)


def _longest(policy: ir.RetryPolicy) -> timedelta:
    if not policy.per_try_timeout.duration or not policy.attempts:
        return timedelta()
    pauses = timedelta()
    if policy.backoff is not None:
        # Doubling passes every maximum within a few steps, and no number of attempts makes it overflow.
        for nth in range(policy.attempts):
            pauses += min(policy.backoff.base * 2 ** min(nth, 40), policy.backoff.maximum)
    return policy.per_try_timeout.duration * (policy.attempts + 1) + pauses


def _methods(rows: Sequence[ir.Route]) -> tuple[str, ...]:
    if not all(each.match.methods for each in rows):
        return ()
    return tuple(sorted({method for each in rows for method in each.match.methods}))


def _backend_name(backend: BackendSpec) -> str:
    return ".".join(each for each in (backend.service, backend.subset) if each)


def _weight_sum(backends: Sequence[BackendSpec]) -> int:
    weights = [each.weight for each in backends if each.weight is not None]
    return sum(weights) if len(weights) == len(backends) > 1 else 0


def matches(
    hosts: Mapping[str, tuple[ir.VirtualHost, ...]],
    places: Mapping[str, Source],
    entrances: Mapping[str, str] | None = None,
) -> tuple[MatchFacts, ...]:
    """The matches of every virtual host in order, once for all callers that have the same.

    ``entrances`` are those of gateways.
    """
    # A match is one object for all callers, whatever else of its route differs between them.
    views: dict[tuple[object, ...], tuple[ir.VirtualHost, list[str]]] = {}
    for caller, seen in hosts.items():
        for host in seen:
            key = (host.service, host.hostnames, *(id(each.match) for each in host.routes))
            views.setdefault(key, (host, []))[1].append(caller)
    return tuple(
        fact
        for host, callers in sorted(views.values(), key=lambda each: (each[0].service, each[1]))
        for fact in _matches(
            host, tuple(sorted(callers)), places[host.service], (entrances or {}).get(host.service, "")
        )
    )


def _matches(
    host: ir.VirtualHost, callers: tuple[str, ...], place: Source, entrance: str
) -> Iterator[MatchFacts]:
    numbers = _numbers(place)
    for route in host.routes:
        yield MatchFacts(
            service=host.service,
            route=route.name,
            callers=callers,
            hostnames=host.hostnames,
            path=f"{route.match.path.kind} {route.match.path.value}",
            methods=route.match.methods,
            headers={each.name: value_text(each) for each in route.match.headers},
            query={each.name: value_text(each) for each in route.match.queries},
            redirect=_redirect(route.answer),
            entrance=entrance,
            source=numbers.get((route.name, route.match.at), numbers.get((route.name, None), place)),
        )


def _redirect(answer: ir.Redirect | ir.DirectResponse | None) -> dict[str, str]:
    if not isinstance(answer, ir.Redirect):
        return {}
    written = {
        "status": answer.status,
        "scheme": answer.scheme,
        "hostname": answer.hostname,
        "port": answer.port,
        "prefix": answer.prefix,
        "path": answer.path,
    }
    return {key: str(value) for key, value in written.items() if value}


def _numbers(place: Source) -> dict[tuple[str, object], Source]:
    """Where each route and each of its matches is written."""
    written = place["routes"]
    found: dict[tuple[str, object], Source] = {}
    for index, node in enumerate(written.node if isinstance(written.node, list) else ()):
        here = written[index]
        name = node["name"]
        found[name, None] = here
        several = here["matches"]
        for number, _ in enumerate(several.node if isinstance(several.node, list) else ()):
            found[name, several[number].here] = several[number]
    return found


def value_text(match: ir.HeaderMatch | ir.QueryMatch) -> str:
    return "present" if match.kind is ir.ValueMatchKind.PRESENT else f"{match.kind} {match.value}"
