"""Which virtual host and which route take a request."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl.diagnostics import Position
from meshctl.ir import OutboundListener, Route, RouteMatch, VirtualHost
from meshctl.simulate.matching import (
    headers_unmet,
    path_unmet,
    path_words,
    query_unmet,
    takes_headers,
    takes_path,
    takes_query,
    value_words,
)
from meshctl.simulate.message import Request
from meshctl.simulate.steps import Step, Topic


def virtual_host(outbound: OutboundListener, name: str) -> VirtualHost | None:
    """The virtual host of that name: exact, then the longest wildcard, then the one for every host."""
    hosts = {pattern: each for each in outbound.virtual_hosts for pattern in each.hostnames}
    if name in hosts:
        return hosts[name]
    labels = name.split(".")
    for first in range(1, len(labels) if labels[0] else 0):
        found = hosts.get(f"*.{'.'.join(labels[first:])}")
        if found is not None:
            return found
    return hosts.get("*")


def route(host: VirtualHost, request: Request) -> Route | None:
    """The first route in order that matches."""
    return next((each for each in host.routes if _matches(each.match, request)), None)


def _matches(match: RouteMatch, request: Request) -> bool:
    return (
        takes_path(match.path, request.path)
        and (not match.methods or request.method in match.methods)
        and all(takes_headers(each, request.headers) for each in match.headers)
        and all(takes_query(each, request.query) for each in match.queries)
    )


def told(host: VirtualHost, request: Request) -> Iterator[Step]:
    """Every route that is asked, in order: why it does not match, up to the one that does."""
    for each in host.routes:
        if not _matches(each.match, request):
            why, at = next(_unmet(each.match, request))
            yield Step(Topic.ROUTE, f"not {each.name}: {why}", at or each.at, passed_over=True)
        else:
            yield Step(Topic.ROUTE, f"{each.name}: {_words(each.match)}", each.match.at or each.at)
            return
    yield Step(Topic.ROUTE, f"no route of `{host.service}` matches: 404", from_spec=False)


def _unmet(match: RouteMatch, request: Request) -> Iterator[tuple[str, Position | None]]:
    """The conditions that do not hold, in the order in which they are asked."""
    if why := path_unmet(match.path, request.path):
        yield why, match.path.at
    if match.methods and request.method not in match.methods:
        yield f"the method is not {' or '.join(match.methods)}", match.at
    for header in match.headers:
        if why := headers_unmet(header, request.headers):
            yield why, header.at
    for query in match.queries:
        if why := query_unmet(query, request.query):
            yield why, query.at


def _words(match: RouteMatch) -> str:
    if match.takes_everything:
        return "takes every request"
    parts = (
        path_words(match.path),
        " or ".join(match.methods),
        *(f"header {value_words(each)}" for each in match.headers),
        *(f"query {value_words(each)}" for each in match.queries),
    )
    return "matches " + ", ".join(each for each in parts if each)
