"""A service as its callers see it: routes, weights, timeouts, retries, endpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from functools import reduce
from math import gcd

from msgspec import Struct, field
from msgspec.structs import replace

from meshctl import ir
from meshctl.diff.change import Change, Sign, changed, keyed, whole
from meshctl.diff.policy_words import balancing, bound, fault, health_check, mirrors, outlier_detection
from meshctl.diff.words import (
    answer,
    backends,
    body_timeout,
    cluster_label,
    conditions,
    header_changes,
    looked_up,
    origin,
    percent,
    requests,
    retries,
    rewrite,
    shares,
    timeout,
)


class View(Struct):
    """What one caller's sidecar knows of one callee."""

    bundles: frozenset[str]
    """The instances of the caller that see it so."""
    hosts: list[ir.VirtualHost] = field(default_factory=list)
    clusters: dict[str, ir.Cluster] = field(default_factory=dict)


def views(mesh: ir.Mesh) -> dict[str, dict[str, View]]:
    """By callee and caller: a service, or one of its bundles, ``service/instance``, where zones make them differ."""
    found: dict[str, dict[str, View]] = {}
    for caller, bundles, sidecar in _callers(mesh):
        for host in sidecar.outbound.virtual_hosts:
            found.setdefault(host.service, {}).setdefault(caller, View(bundles)).hosts.append(host)
        for cluster in sidecar.clusters:
            view = found.setdefault(_callee(cluster), {}).setdefault(caller, View(bundles))
            view.clusters[cluster.name] = cluster
    return found


def _callers(mesh: ir.Mesh) -> Iterator[tuple[str, frozenset[str], ir.Sidecar]]:
    """One sidecar for all that see the same, and the instances that these are."""
    bundles: dict[str, list[ir.Sidecar]] = {}
    for sidecar in mesh.sidecars:
        bundles.setdefault(sidecar.service, []).append(sidecar)
    for name, listed in bundles.items():
        if all(each.clusters == listed[0].clusters for each in listed):
            yield name, frozenset(each.instance for each in listed), listed[0]
        else:
            yield from ((f"{name}/{each.instance}", frozenset((each.instance,)), each) for each in listed)


def service_of(caller: str) -> str:
    """The service of a caller in :func:`views`."""
    return caller.partition("/")[0]


def _callee(cluster: ir.Cluster) -> str:
    """The service, external or `egress` that a cluster is of, or a part of."""
    return cluster.name.partition(".")[0] if cluster.identity is None else cluster.identity.service


def compare_views(before: Mapping[str, View], after: Mapping[str, View]) -> Iterator[Change]:
    """Changes that all callers see alike stand alone; others under the callers that see them."""
    if before.keys() == after.keys() and all(
        _identity(view) == _identity(after[caller]) for caller, view in before.items()
    ):
        return
    common = dict(_paired(before, after))
    known: dict[tuple[int, ...], tuple[Change, ...]] = {}
    callers_of: dict[Change, list[str]] = {}
    for caller, was in common.items():
        # Callers that narrow nothing share objects, so each pair of them is compared once.
        old, new = _identity(before[was]), _identity(after[caller])
        key = (*old, 0, *new)
        if key not in known:
            # Nor is what both meshes share, as those do that were resolved together.
            known[key] = tuple(_compare_view(before[was], after[caller])) if old != new else ()
        for change in known[key]:
            callers_of.setdefault(change, []).append(caller)
    seen_by: dict[tuple[str, ...], list[Change]] = {}
    for change, callers in callers_of.items():
        seen_by.setdefault(tuple(callers), []).append(change)
    yield from seen_by.pop(tuple(common), ())
    for some, changes in seen_by.items():
        yield from whole("as seen by", ", ".join(some), changes)


def _paired(before: Mapping[str, View], after: Mapping[str, View]) -> Iterator[tuple[str, str]]:
    """Each caller that was there before, and what it was then.

    Bundles that are new beside others of their service were not there. Where all of them are new the service was cut
    otherwise, and each was what the first one was.
    """
    old, new = _by_bundle(before), _by_bundle(after)
    for caller in sorted(after):
        service = service_of(caller)
        was = old.get(service, {})
        same = sorted(after[caller].bundles & was.keys())
        if same:
            yield caller, was[same[0]]
        elif was and was.keys().isdisjoint(new[service]):
            yield caller, was[min(was)]


def _by_bundle(callers: Mapping[str, View]) -> dict[str, dict[str, str]]:
    """By service and instance, the caller that it is among."""
    found: dict[str, dict[str, str]] = {}
    for caller, view in callers.items():
        found.setdefault(service_of(caller), {}).update(dict.fromkeys(view.bundles, caller))
    return found


def _identity(view: View) -> tuple[int, ...]:
    return (*(id(each) for each in view.hosts), 0, *(id(each) for each in view.clusters.values()))


def _compare_view(before: View, after: View) -> Iterator[Change]:
    if before.hosts and after.hosts:
        yield from _hostnames(before.hosts, after.hosts)
        yield from _routes(before.hosts, after.hosts)
    for name in sorted(before.clusters.keys() & after.clusters.keys()):
        yield from _cluster(before.clusters[name], after.clusters[name])


def _hostnames(before: list[ir.VirtualHost], after: list[ir.VirtualHost]) -> Iterator[Change]:
    old, new = ({name: "" for host in hosts for name in host.hostnames} for hosts in (before, after))
    yield from keyed("hostname", old, new)


def _by_name(hosts: list[ir.VirtualHost]) -> dict[str, list[ir.Route]]:
    """The routes of each name, one for each of its matches, in the order in which they are tried."""
    routes: dict[str, dict[str, ir.Route]] = {}
    for host in hosts:
        for route in host.routes:
            routes.setdefault(route.name, {}).setdefault(conditions(route.match), route)
    return {name: list(each.values()) for name, each in routes.items()}


def _names(hosts: list[ir.VirtualHost], route: str) -> str:
    """The host names under which a route answers."""
    names = (host.hostnames for host in hosts if any(each.name == route for each in host.routes))
    return ", ".join(name for each in names for name in each)


def _routes(before: list[ir.VirtualHost], after: list[ir.VirtualHost]) -> Iterator[Change]:
    old, new = _by_name(before), _by_name(after)
    service = after[0].service
    several = len(before) > 1 or len(after) > 1
    former = _renamed(old, new)
    if former:
        for now, was in former.items():
            yield Change(Sign.RENAMED, "route", now, was, now, of=_of(new[now]))
        after = [_under(host, former) for host in after]
        new = _by_name(after)
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            yield Change(Sign.ADDED, "route", name, after=_text(service, new[name]))
        elif name not in new:
            yield Change(Sign.REMOVED, "route", name, before=_text(service, old[name]))
        else:
            names = changed("host names", _names(before, name), _names(after, name)) if several else ()
            for each in whole("route", name, (*names, *_route(service, old[name], new[name]))):
                yield replace(each, of=_of(new[name]), meaning=_moved(service, old[name], new[name]))
    common = old.keys() & new.keys()
    yield from changed("order of routes", _order(before, common), _order(after, common))


def _renamed(before: Mapping[str, list[ir.Route]], after: Mapping[str, list[ir.Route]]) -> dict[str, str]:
    """The former names of routes that are the same but for the name."""
    left = sorted(before.keys() - after.keys())
    former: dict[str, str] = {}
    for now in sorted(after.keys() - before.keys()) if left else ():
        was = next(
            (each for each in left if before[each] == [replace(one, name=each) for one in after[now]]), None
        )
        if was is not None:
            left.remove(was)
            former[now] = was
    return former


def _under(host: ir.VirtualHost, names: Mapping[str, str]) -> ir.VirtualHost:
    routes = (replace(each, name=names.get(each.name, each.name)) for each in host.routes)
    return replace(host, routes=tuple(routes))


def _of(routes: list[ir.Route]) -> str:
    if any(each.match.takes_everything for each in routes):
        return ""
    return " or ".join(conditions(each.match) for each in routes)


def _moved(service: str, before: list[ir.Route], after: list[ir.Route]) -> str:
    """Which share of the requests goes elsewhere; nothing where others come to the route, too."""
    if [each.match for each in before] != [each.match for each in after]:
        return ""
    old, new = shares(service, before[0]), shares(service, after[0])
    less = {name: share - new.get(name, 0) for name, share in old.items() if new.get(name, 0) < share}
    more = [name for name, share in new.items() if old.get(name, 0) < share]
    if not (less and more):
        return ""
    moved = f"moves from {', '.join(less)} to {', '.join(more)}"
    return f"{percent(sum(less.values(), Fraction()))} of {requests([each.match for each in after], moved)}"


def _order(hosts: list[ir.VirtualHost], common: Iterable[str]) -> str:
    """The order in which the matches of routes are tried, as far as both sides have them."""
    wanted = set(common)
    names = [route.name for host in hosts for route in host.routes if route.name in wanted]
    return " ".join(dict.fromkeys(names))


def _text(service: str, routes: list[ir.Route]) -> str:
    first = routes[0]
    matches = " or ".join(conditions(each.match) for each in routes)
    if first.answer is not None:
        return f"{matches}: {answer(first.answer)}"
    shares = ", ".join(f"{name} {share}" for name, share in backends(service, first).items())
    rewritten = f", rewrite {rewrite(first.rewrite)}" if first.rewrite is not None else ""
    return f"{matches} to {shares or 'nobody'}{rewritten}, timeout {timeout(first.timeout)}"


def _route(service: str, before: list[ir.Route], after: list[ir.Route]) -> Iterator[Change]:
    old, new = before[0], after[0]
    old_matches = {conditions(each.match): "" for each in before}
    new_matches = {conditions(each.match): "" for each in after}
    if len(old_matches) == len(new_matches) == 1:
        yield from changed("match", next(iter(old_matches)), next(iter(new_matches)))
    else:
        yield from keyed("match", old_matches, new_matches)
    yield from keyed(
        "response header", header_changes(old.response_headers), header_changes(new.response_headers)
    )
    yield from changed("answer", answer(old.answer) or "the callee's", answer(new.answer) or "the callee's")
    if old.answer is not None and new.answer is not None:
        return
    yield from keyed("weight", backends(service, old), backends(service, new))
    yield from changed("timeout", timeout(old.timeout), timeout(new.timeout))
    yield from changed("body timeout", body_timeout(old.body_timeout), body_timeout(new.body_timeout))
    yield from changed("streaming", _on(old.streaming), _on(new.streaming))
    yield from changed("retries", retries(old.retries), retries(new.retries))
    yield from changed("idempotent methods", _methods(old.retries), _methods(new.retries))
    yield from changed("rewrite", rewrite(old.rewrite), rewrite(new.rewrite))
    yield from keyed("mirror", mirrors(service, old.mirrors), mirrors(service, new.mirrors))
    yield from changed("fault", fault(old.fault), fault(new.fault))
    yield from keyed(
        "request header", header_changes(old.request_headers), header_changes(new.request_headers)
    )


def _on(value: object) -> str:
    return "on" if value else "off"


def _methods(policy: ir.RetryPolicy) -> str:
    return ", ".join(policy.idempotent_methods) or "none"


def _cluster(before: ir.Cluster, after: ir.Cluster) -> Iterator[Change]:
    label = cluster_label(_callee(after), after.name)
    old, new = ({str(each.socket): each.weight for each in one.endpoints} for one in (before, after))
    common = old.keys() & new.keys()
    old_levels, new_levels = (
        {str(it.socket): it.priority for it in one.endpoints} for one in (before, after)
    )
    for socket in sorted(old.keys() ^ new.keys()):
        yield Change(Sign.ADDED if socket in new else Sign.REMOVED, "endpoint", f"{socket}{label}")
    old_weights, new_weights = _ratios(old, common), _ratios(new, common)
    for socket in sorted(common):
        yield from changed(
            "endpoint weight", str(old_weights[socket]), str(new_weights[socket]), f"{socket}{label}"
        )
        yield from changed(
            "endpoint level", str(old_levels[socket]), str(new_levels[socket]), f"{socket}{label}"
        )
    name = label.strip(" ()")
    yield from changed("protocol", before.protocol, after.protocol, name)
    yield from changed("looked up", looked_up(before), looked_up(after), name)
    yield from changed("TLS", origin(before), origin(after), name)
    yield from changed(
        "connect timeout",
        ir.duration_text(before.connect_timeout),
        ir.duration_text(after.connect_timeout),
        name,
    )
    yield from changed(
        "idle timeout", ir.duration_text(before.idle_timeout), ir.duration_text(after.idle_timeout), name
    )
    for what, text in _POLICIES:
        yield from changed(what, text(before), text(after), name)


_POLICIES: tuple[tuple[str, Callable[[ir.Cluster], str]], ...] = (
    ("balancing", lambda each: balancing(each.load_balancing)),
    ("outlier detection", lambda each: outlier_detection(each.outlier_detection)),
    ("health check", lambda each: health_check(each.health_check)),
    ("max connections", lambda each: str(each.circuit_breaker.max_connections)),
    ("max requests", lambda each: str(each.circuit_breaker.max_requests)),
    ("max pending requests", lambda each: bound(each.circuit_breaker.max_pending, "nobody waits")),
    ("max retries", lambda each: bound(each.circuit_breaker.max_retries, "as max requests")),
)


def _ratios(weights: Mapping[str, int], common: Iterable[str]) -> dict[str, int]:
    """The weights among ``common`` alone: what came or went beside them does not count."""
    chosen = {socket: weights[socket] for socket in common}
    divisor = reduce(gcd, chosen.values(), 0) or 1
    return {socket: weight // divisor for socket, weight in chosen.items()}
