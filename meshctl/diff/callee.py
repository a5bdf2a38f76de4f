"""A service as its callers see it: routes, weights, timeouts, retries, endpoints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from math import gcd

from meshctl import ir
from meshctl.diff.change import Change, Sign, changed, keyed, whole
from meshctl.diff.words import backends, cluster_label, conditions, retries, timeout


@dataclass(slots=True)
class View:
    """What one caller's sidecar knows of one callee."""

    host: ir.VirtualHost | None = None
    clusters: dict[str, ir.Cluster] = field(default_factory=dict)


def views(mesh: ir.Mesh) -> dict[str, dict[str, View]]:
    """By callee and caller. All sidecars of one service see the same."""
    found: dict[str, dict[str, View]] = {}
    for sidecar in {each.service: each for each in mesh.sidecars}.values():
        for host in sidecar.outbound.virtual_hosts:
            found.setdefault(host.service, {}).setdefault(sidecar.service, View()).host = host
        for cluster in sidecar.clusters:
            view = found.setdefault(cluster.workload.service, {}).setdefault(sidecar.service, View())
            view.clusters[cluster.name] = cluster
    return found


def compare_views(before: Mapping[str, View], after: Mapping[str, View]) -> Iterator[Change]:
    """Changes that all callers see alike stand alone; others under the callers that see them."""
    common = sorted(before.keys() & after.keys())
    known: dict[tuple[int, ...], tuple[Change, ...]] = {}
    callers_of: dict[tuple[Change, ...], list[str]] = {}
    for caller in common:
        # Callers that narrow nothing share objects, so each pair of them is compared once.
        key = (*_identity(before[caller]), 0, *_identity(after[caller]))
        if key not in known:
            known[key] = tuple(_compare_view(before[caller], after[caller]))
        callers_of.setdefault(known[key], []).append(caller)
    for changes, callers in callers_of.items():
        if len(callers) == len(common):
            yield from changes
        else:
            yield from whole("as seen by", ", ".join(callers), changes)


def _identity(view: View) -> tuple[int, ...]:
    return (id(view.host), *(id(each) for each in view.clusters.values()))


def _compare_view(before: View, after: View) -> Iterator[Change]:
    if before.host is not None and after.host is not None:
        yield from _hostnames(before.host, after.host)
        yield from _routes(before.host, after.host)
    for name in sorted(before.clusters.keys() & after.clusters.keys()):
        yield from _cluster(before.clusters[name], after.clusters[name])


def _hostnames(before: ir.VirtualHost, after: ir.VirtualHost) -> Iterator[Change]:
    yield from keyed("hostname", dict.fromkeys(before.hostnames, ""), dict.fromkeys(after.hostnames, ""))


def _by_name(host: ir.VirtualHost) -> dict[str, list[ir.Route]]:
    """The routes of each name, one for each of its matches, in the order in which they are tried."""
    routes: dict[str, list[ir.Route]] = {}
    for route in host.routes:
        routes.setdefault(route.name, []).append(route)
    return routes


def _routes(before: ir.VirtualHost, after: ir.VirtualHost) -> Iterator[Change]:
    old, new = _by_name(before), _by_name(after)
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            yield Change(Sign.ADDED, "route", name, after=_text(after.service, new[name]))
        elif name not in new:
            yield Change(Sign.REMOVED, "route", name, before=_text(before.service, old[name]))
        else:
            yield from whole("route", name, _route(after.service, old[name], new[name]))
    yield from changed(
        "order of routes", _order(before, old.keys() & new.keys()), _order(after, old.keys() & new.keys())
    )


def _order(host: ir.VirtualHost, common: Iterable[str]) -> str:
    """The order in which the matches of routes are tried, as far as both sides have them."""
    wanted = set(common)
    names = [route.name for route in host.routes if route.name in wanted]
    return " ".join(dict.fromkeys(names))


def _text(service: str, routes: list[ir.Route]) -> str:
    first = routes[0]
    matches = " or ".join(conditions(each.match) for each in routes)
    shares = ", ".join(f"{name} {share}" for name, share in backends(service, first).items())
    return f"{matches} to {shares or 'nobody'}, timeout {timeout(first.timeout)}"


def _route(service: str, before: list[ir.Route], after: list[ir.Route]) -> Iterator[Change]:
    old, new = before[0], after[0]
    old_matches = {conditions(each.match): "" for each in before}
    new_matches = {conditions(each.match): "" for each in after}
    if len(old_matches) == len(new_matches) == 1:
        yield from changed("match", next(iter(old_matches)), next(iter(new_matches)))
    else:
        yield from keyed("match", old_matches, new_matches)
    yield from keyed("weight", backends(service, old), backends(service, new))
    yield from changed("timeout", timeout(old.timeout), timeout(new.timeout))
    yield from changed("retries", retries(old.retries), retries(new.retries))


def _cluster(before: ir.Cluster, after: ir.Cluster) -> Iterator[Change]:
    label = cluster_label(after.workload.service, after.name)
    old, new = ({str(each.socket): each.weight for each in one.endpoints} for one in (before, after))
    common = old.keys() & new.keys()
    for socket in sorted(old.keys() ^ new.keys()):
        yield Change(Sign.ADDED if socket in new else Sign.REMOVED, "endpoint", f"{socket}{label}")
    old_weights, new_weights = _ratios(old, common), _ratios(new, common)
    for socket in sorted(common):
        yield from changed(
            "endpoint weight", str(old_weights[socket]), str(new_weights[socket]), f"{socket}{label}"
        )
    name = label.strip(" ()")
    yield from changed(
        "connect timeout",
        ir.duration_text(before.connect_timeout),
        ir.duration_text(after.connect_timeout),
        name,
    )
    yield from changed(
        "idle timeout", ir.duration_text(before.idle_timeout), ir.duration_text(after.idle_timeout), name
    )
    yield from changed("balancing", before.load_balancing.policy, after.load_balancing.policy, name)
    for what, value, other in (
        ("max connections", before.circuit_breaker.max_connections, after.circuit_breaker.max_connections),
        ("max requests", before.circuit_breaker.max_requests, after.circuit_breaker.max_requests),
    ):
        yield from changed(what, str(value), str(other), name)


def _ratios(weights: Mapping[str, int], common: Iterable[str]) -> dict[str, int]:
    """The weights among ``common`` alone: what came or went beside them does not count."""
    chosen = {socket: weights[socket] for socket in common}
    divisor = reduce(gcd, chosen.values(), 0) or 1
    return {socket: weight // divisor for socket, weight in chosen.items()}
