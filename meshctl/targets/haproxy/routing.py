"""Which request goes where: names of callees, then routes in their order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from meshctl import ir
from meshctl.targets.haproxy import filters, matching, quoting, tables
from meshctl.targets.haproxy.model import HostRule, RouteRule
from meshctl.targets.haproxy.quoting import Token

EGRESS = "*"
"""The key of what is no host of the mesh; no service is called so."""


class Host(Struct, frozen=True):
    """A virtual host under a key of its own, for several may belong to one service."""

    key: str
    hostnames: tuple[str, ...]
    routes: tuple[ir.Route, ...]


Destinations = dict[tuple[object, ...], tuple[int, ir.Route]]


def hosts(listener: ir.OutboundListener) -> tuple[Host, ...]:
    """The virtual hosts of a listener, and at the end what may go to any host."""
    found: dict[str, Host] = {}
    for host in listener.virtual_hosts:
        key, number = host.service, 2
        while key in found:
            key, number = f"{host.service}:{number}", number + 1
        found[key] = Host(key, host.hostnames, host.routes)
    if listener.egress:
        found[EGRESS] = Host(EGRESS, (), (listener.egress,))
    return tuple(found.values())


def host_rules(of_listener: tuple[Host, ...]) -> Iterator[HostRule]:
    """Exact names, then wildcards, the longer first, then the name for all."""
    wildcards = []
    everything = []
    for host in of_listener:
        key = quoting.string(host.key)
        exact = tuple(name for name in host.hostnames if "*" not in name)
        for names in quoting.word_lists(exact):
            yield HostRule(key, quoting.statement(Token("-m str --"), names))
        wildcards += [(name[1:], key) for name in host.hostnames if name.startswith("*.")]
        everything += [HostRule(key, None)] * ("*" in host.hostnames)
    for suffix, key in sorted(wildcards, key=lambda each: -len(each[0])):
        # One character before the dot at least: the suffix alone is no name.
        pattern = quoting.regex(f".{quoting.literal_regex(suffix)}$")
        yield HostRule(key, quoting.statement(Token("-m reg --"), pattern))
    yield from everything


def destinations(of_listener: tuple[Host, ...], after: int) -> Destinations:
    """The different things that become of requests, numbered from ``after`` on.

    Matches of one route share a number, and with it the lines that draw and choose.
    """
    found: Destinations = {}
    for host in of_listener:
        for route in host.routes:
            found.setdefault(_identity(host, route), (after + len(found) + 1, route))
    return found


def _identity(host: Host, route: ir.Route) -> tuple[object, ...]:
    """What makes two routes the same destination; whether a time is written is not part of its equality."""
    prefix = route.match.path.value if filters.changes_prefix(route) else ""
    timeouts = (route.timeout, route.timeout.written, route.body_timeout, route.streaming, route.retries)
    changes = (route.answer, route.rewrite, route.request_headers, route.response_headers)
    acts = (route.fault, route.mirrors)
    return (host.key, route.name, route.backends, *timeouts, *changes, *acts, prefix)


def rules(
    of_listener: tuple[Host, ...], numbers: Destinations, in_tables: Mapping[str, tables.Paths]
) -> Iterator[RouteRule]:
    """One rule a match, first match first, but for those that are in tables."""
    for serial, host, route in numbered(of_listener):
        if host.key in in_tables and tables.is_plain(route.match):
            continue
        criteria = matching.criteria(f"m{serial}", route.match)
        yield RouteRule(
            target=numbers[_identity(host, route)][0],
            host=quoting.word(host.key),
            criteria=criteria,
            names=tuple(dict.fromkeys(criterion.name for criterion in criteria)),
            yields_below=serial if host.key in in_tables else None,
        )


def numbered(of_listener: tuple[Host, ...]) -> Iterator[tuple[int, Host, ir.Route]]:
    """All routes of a listener in the order of asking."""
    serial = 0
    for host in of_listener:
        for route in host.routes:
            serial += 1
            yield serial, host, route


def in_tables(of_listener: tuple[Host, ...]) -> dict[str, tables.Paths]:
    """The hosts with so many routes of a path alone that these are better looked up."""
    found = {}
    for host in of_listener:
        its = ((serial, route) for serial, each, route in numbered(of_listener) if each is host)
        paths = tables.paths_of(its)
        if paths:
            found[host.key] = paths
    return found


def targets_of(of_listener: tuple[Host, ...], numbers: Destinations) -> dict[int, int]:
    """What becomes of the requests of a route, by the route's number."""
    return {serial: numbers[_identity(host, route)][0] for serial, host, route in numbered(of_listener)}
