"""Which request goes where."""

from __future__ import annotations

from typing import Annotated

from msgspec import field

from meshctl.diagnostics import Position
from meshctl.ir.fault_injection import Fault
from meshctl.ir.features import Feature, FeatureUse, Needs, needs
from meshctl.ir.filters import DirectResponse, HeaderChanges, Redirect, Rewrite
from meshctl.ir.matching import HeaderMatch, PathMatch, QueryMatch
from meshctl.ir.mirroring import Mirror
from meshctl.ir.retries import RetryPolicy
from meshctl.ir.splitting import WeightedCluster
from meshctl.ir.timeouts import BodyTimeout, Timeout
from meshctl.ir.written import Written


class RouteMatch(Written, frozen=True):
    """All conditions must hold. No method means any; ``GET`` does not include ``HEAD``."""

    path: PathMatch
    methods: Annotated[tuple[str, ...], needs(Feature.METHOD_MATCH)]
    headers: tuple[HeaderMatch, ...]
    queries: tuple[QueryMatch, ...] = ()
    at: Position | None = None

    @property
    def takes_everything(self) -> bool:
        """Whether no request escapes this match."""
        return self.path.takes_everything and not (self.methods or self.headers or self.queries)


def _needed_by_backends(backends: tuple[WeightedCluster, ...]) -> tuple[Feature, ...]:
    return (Feature.WEIGHTED_SPLITTING,) if len(backends) > 1 else ()


class Route(Written, frozen=True):
    """One match and what becomes of its requests. Several routes may bear one name, a match each.

    With an ``answer`` the sidecar gives it and there is no backend. Otherwise no backend means that nothing
    could take the request: 503. Matches that are bound to other callers are not here at all.
    """

    name: str
    match: RouteMatch
    backends: Annotated[
        tuple[WeightedCluster, ...],
        Needs(_needed_by_backends),
    ]
    timeout: Timeout
    retries: RetryPolicy
    body_timeout: BodyTimeout = field(default_factory=BodyTimeout)
    streaming: bool = False
    """Neither requests nor answers are buffered; no time limit but the idle timeout stands here then. ``asks``
    says where it was written, which may be far from the route."""
    answer: Redirect | DirectResponse | None = None
    rewrite: Rewrite | None = None
    request_headers: HeaderChanges = field(default_factory=HeaderChanges)
    response_headers: HeaderChanges = field(default_factory=HeaderChanges)
    mirrors: tuple[Mirror, ...] = ()
    fault: Fault | None = None
    """Both only where the request is sent on."""
    asks: tuple[FeatureUse, ...] = ()
    """What the user wrote that stands nowhere else here."""
    at: Position | None = None


class VirtualHost(Written, frozen=True):
    """Names, and the routes behind them in the order in which they are tried. No match: 404.

    ``hostnames`` are lower case, without port and root dot, and are compared so. ``*.x`` takes any number of
    labels before ``.x``, never ``x`` itself; ``*`` alone takes every host. No name stands in two virtual hosts
    of a listener. An exact name beats a wildcard, a longer wildcard a shorter one, and nothing falls through
    to the next best. ``service`` is the callee, external or gateway whose routes they are.
    """

    service: str
    hostnames: tuple[str, ...]
    routes: tuple[Route, ...]
    asks: tuple[FeatureUse, ...] = ()
