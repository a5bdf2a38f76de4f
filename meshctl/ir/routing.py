"""Which request goes where."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from meshctl.diagnostics import Position
from meshctl.ir.features import Feature, Needs, needs
from meshctl.ir.retries import RetryPolicy
from meshctl.ir.splitting import WeightedCluster
from meshctl.ir.timeouts import Timeout


class PathMatchKind(StrEnum):
    """EXACT: the whole path. PREFIX: whole segments; ``/abc`` takes /abc, /abc/ and /abc/x, not /abcd."""

    EXACT = "exact"
    PREFIX = "prefix"


_PATH_FEATURES = {PathMatchKind.EXACT: (Feature.PATH_EXACT,), PathMatchKind.PREFIX: (Feature.PATH_PREFIX,)}


@dataclass(frozen=True, slots=True)
class PathMatch:
    """Compares with case, without the query. A prefix has no slash at its end, but ``/`` takes all."""

    kind: Annotated[PathMatchKind, Needs(_PATH_FEATURES.__getitem__)]
    value: str
    at: Position | None = field(default=None, compare=False)

    @property
    def takes_everything(self) -> bool:
        """Whether no path escapes this match."""
        return self.kind is PathMatchKind.PREFIX and self.value == "/"


@dataclass(frozen=True, slots=True)
class HeaderMatch:
    """True if any line of the header equals ``value``, whole and with case. ``name`` is lower case."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """All conditions must hold. No method means any; ``GET`` does not include ``HEAD``."""

    path: PathMatch
    methods: Annotated[tuple[str, ...], needs(Feature.METHOD_MATCH)]
    headers: Annotated[tuple[HeaderMatch, ...], needs(Feature.HEADER_MATCH)]
    at: Position | None = field(default=None, compare=False)

    @property
    def takes_everything(self) -> bool:
        """Whether no request escapes this match."""
        return self.path.takes_everything and not self.methods and not self.headers


def _needed_by_backends(backends: tuple[WeightedCluster, ...]) -> tuple[Feature, ...]:
    return (Feature.WEIGHTED_SPLITTING,) if len(backends) > 1 else ()


@dataclass(frozen=True, slots=True)
class Route:
    """One match and what becomes of its requests. Several routes may bear one name, a match each.

    No backend: the answer is 503, for nothing could take the request.
    """

    name: str
    match: RouteMatch
    backends: Annotated[
        tuple[WeightedCluster, ...],
        Needs(_needed_by_backends),
    ]
    timeout: Timeout
    retries: RetryPolicy
    at: Position | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class VirtualHost:
    """A callee as its caller sees it: names, and routes in the order in which they are tried.

    ``hostnames`` are lower case, without port and root dot, and are compared so. No match: 404.
    """

    service: str
    hostnames: tuple[str, ...]
    routes: tuple[Route, ...]
