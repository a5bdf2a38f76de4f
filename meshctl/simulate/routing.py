"""Which virtual host and which route take a request."""

from __future__ import annotations

from meshctl.ir import OutboundListener, Route, RouteMatch, VirtualHost
from meshctl.simulate.matching import takes_headers, takes_path, takes_query
from meshctl.simulate.message import Request


def virtual_host(outbound: OutboundListener, name: str) -> VirtualHost | None:
    """The virtual host of that name: exact, then the longest wildcard, then the one for every host."""
    hosts = {pattern: each for each in outbound.virtual_hosts for pattern in each.hostnames}
    if name in hosts:
        return hosts[name]
    labels = name.split(".")
    for first in range(1, len(labels)):
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
