"""Copies of requests: ``mirroring.lua`` sends them to an inner server, which proxies them like any request.

NGINX's own ``mirror`` holds up the next request of the connection until the copy is answered, cuts the copy's answer
off, and would copy again for every retry.
"""

from __future__ import annotations

from msgspec import Struct, field
from msgspec.structs import replace

from meshctl import ir
from meshctl.targets.nginx.destinations import Destinations
from meshctl.targets.nginx.model_destinations import Destination
from meshctl.targets.nginx.model_policies import Copy, MirroredRoute, Mirroring


class Mirrors(Struct):
    """The mirrors of one sidecar's routes."""

    destinations: Destinations
    routes: list[MirroredRoute] = field(default_factory=list)
    _reached: dict[int, Destination] = field(default_factory=dict)

    def add(self, number: int, route: ir.Route) -> None:
        """Note what is copied of the requests of route ``number``."""
        copies = []
        for mirror in route.mirrors:
            _, behind = self.destinations.add(mirror.cluster, _once(route))
            for each in behind if mirror.share else ():
                self._reached[each.number] = each
                copies.append(Copy(each.number, mirror.share.numerator, mirror.share.denominator))
        if copies:
            self.routes.append(MirroredRoute(number, tuple(copies)))

    def all(self) -> Mirroring | None:
        """None where nothing is copied."""
        if not self.routes:
            return None
        return Mirroring(tuple(self.routes), tuple(self._reached[key] for key in sorted(self._reached)))


def _once(route: ir.Route) -> ir.Route:
    """What becomes of a copy: filters have been at it, nobody reads its answer, and it is sent once."""
    return replace(
        route,
        timeout=replace(route.timeout, at=None),
        retries=ir.RetryPolicy(0, (), route.retries.idempotent_methods),
        body_timeout=ir.BodyTimeout(),
        streaming=False,
        rewrite=None,
        response_headers=ir.HeaderChanges(),
        mirrors=(),
        fault=None,
    )
