"""What those who watch a mesh have to know of it: where its metrics are, what runs there, and what was promised."""

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct

from meshctl.ir.discovery import SocketAddress
from meshctl.ir.slo import ServiceLevel


class ScrapeTarget(Struct, frozen=True):
    """The health listener of one sidecar. ``zone`` is empty where the spec says none."""

    address: SocketAddress
    zone: str


class ScrapeLookup(Struct, frozen=True):
    """A name whose addresses are those of the sidecars, whose health listeners are on ``port``.

    With ``srv`` its SRV records say targets, and ports of other listeners.
    """

    name: str
    port: int
    srv: bool


class Watched(Struct, frozen=True):
    """One service or gateway. ``builds`` are those that its sidecars may run, sorted, as `GET /build` tells them.

    ``owner`` is empty where the spec names nobody. Without ``targets`` and ``lookup`` nobody outside its hosts can see it.
    """

    service: str
    owner: str
    targets: tuple[ScrapeTarget, ...]
    lookup: ScrapeLookup | None
    builds: tuple[str, ...]
    slo: ServiceLevel | None
    rate_limited: bool

    @property
    def is_reachable(self) -> bool:
        """Whether a Prometheus elsewhere can scrape it."""
        return bool(self.targets) or self.lookup is not None


class Observed(Struct, frozen=True):
    """A whole mesh, its services and gateways sorted by name. Certificates are due ``renew_before`` their end."""

    mesh: str
    watched: tuple[Watched, ...]
    renew_before: timedelta
