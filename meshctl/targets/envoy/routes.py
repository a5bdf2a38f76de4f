"""The routes of a sidecar, wherever they stand."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl.ir import OutboundListener, Route, Sidecar


def routes(sidecar: Sidecar) -> Iterator[Route]:
    """Those of all its listeners for requests that go out."""
    for listener in (sidecar.outbound, *sidecar.locals):
        yield from routes_of(listener)


def routes_of(listener: OutboundListener) -> Iterator[Route]:
    """In order; the one for requests to anywhere comes last."""
    yield from (route for host in listener.virtual_hosts for route in host.routes)
    if listener.egress:
        yield listener.egress
