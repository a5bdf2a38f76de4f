"""What a sidecar adds to a request, beside one of the same proxy that a careful engineer wrote by hand.

Three pairs of sidecars on the way of the same request, alive at the same time: by hand with routes and mutual TLS alone (see
``minimal/``), the same with an access log of the same fields, and meshctl's own of a mesh that asks for nothing. Rounds take turns, and
each is compared with its neighbours: what else runs on the machine meets all of them. Added is what the same request takes more than
without any sidecar.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import sidecars
from benchmarks.sidecars import Alive, Asking, Work
from benchmarks.table import columns
from meshctl import ir
from meshctl.live.processes import ProcessGroup

ROUTES = (1, 50, 1000)
"""By prefix; the last one is asked for. With one it is the route that every mesh has."""

DIRECT, BARE, LOGGED, MESHCTL = "no sidecar", "by hand", "by hand, access log", "meshctl"

_LOADS = (Asking(800, 1), Asking(3000, 16))


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one configuration: seconds, and of processor for a request by both sidecars; ``times`` those by hand with an access log."""

    proxy: str
    routes: int
    connections: int
    configuration: str
    median: float
    slow: float
    """The 99th percentile."""
    processor: float
    per_second: float
    times_median: float
    times_slow: float
    times_processor: float


def measure(folder: Path, proxies: Sequence[ir.Proxy], rounds: int) -> Iterator[Figures]:
    """Every proxy with every number of routes, under two loads. Raises RequestsFailedError."""
    networks = sidecars.networks()
    for proxy in proxies:
        for routes in ROUTES:
            place = folder / f"{proxy}-{routes}"
            with ProcessGroup() as group:
                alive = _alive(place, proxy, routes, [next(networks) for _ in range(3)], group)
                for load in _LOADS:
                    path = f"/r{routes}/items?page=1"
                    asking = Asking(load.requests, load.connections, path)
                    yield from _compared(proxy, routes, alive, asking, rounds)


def _alive(
    folder: Path, proxy: ir.Proxy, number: int, networks: Sequence[str], group: ProcessGroup
) -> dict[str, Alive]:
    """Raises RuntimeError where meshctl refuses its own spec."""
    routes = [f"/r{each}" for each in range(1, number + 1)] if number > 1 else []
    rules = [{"name": each[1:], "matches": [{"path": {"prefix": each}}]} for each in routes]
    bare, logged, own = networks
    spec = sidecars.spec(proxy, own, {"routes": rules} if rules else {}, {})
    direct = sidecars.applications(folder / "applications", networks, group, multiplexed=False)
    meshctl = sidecars.built(folder / "meshctl", own, spec, group)
    if meshctl is None:
        raise RuntimeError(f"{proxy} refuses {number} routes")

    def by_hand(network: str, *, logs: bool) -> Alive:
        values = {"routes": routes, "logs": logs}
        return sidecars.written(folder / f"logs-{logs}", proxy, network, meshctl.folder, group, values)

    return {
        DIRECT: direct,
        BARE: by_hand(bare, logs=False),
        LOGGED: by_hand(logged, logs=True),
        MESHCTL: meshctl,
    }


def _compared(
    proxy: ir.Proxy, routes: int, alive: dict[str, Alive], asking: Asking, rounds: int
) -> Iterator[Figures]:
    for each in alive.values():
        each.ask(asking)
    turns = [{name: each.ask(asking) for name, each in alive.items()} for _ in range(rounds)]
    for name in (BARE, LOGGED, MESHCTL):
        yield Figures(
            str(proxy),
            routes,
            asking.connections,
            name,
            statistics.median(_added(turn, name, 50) for turn in turns),
            statistics.median(_added(turn, name, 99) for turn in turns),
            statistics.median(turn[name].processor for turn in turns),
            statistics.median(asking.requests / turn[name].elapsed for turn in turns),
            statistics.median(_added(turn, name, 50) / _added(turn, LOGGED, 50) for turn in turns),
            statistics.median(_added(turn, name, 99) / _added(turn, LOGGED, 99) for turn in turns),
            statistics.median(turn[name].processor / turn[LOGGED].processor for turn in turns),
        )


def _added(turn: dict[str, Work], name: str, percent: int) -> float:
    """Never nothing: on a disturbed machine a request without a sidecar can take longer than one with two."""
    return max(_percentile(turn[name], percent) - _percentile(turn[DIRECT], percent), 1e-6)


def _percentile(work: Work, percent: int) -> float:
    return statistics.quantiles(work.taken, n=100)[percent - 1]


def render(figures: Sequence[Figures]) -> str:
    """The table as text."""
    head = (
        "proxy",
        "routes",
        "connections",
        "configuration",
        "added p50",
        "",
        "added p99",
        "",
        "processor",
        "",
        "requests/s",
    )
    lines = [head]
    lines += [
        (
            each.proxy,
            str(each.routes),
            str(each.connections),
            each.configuration,
            f"{each.median * 1e6:.0f} us",
            f"{each.times_median:.2f} x",
            f"{each.slow * 1e6:.0f} us",
            f"{each.times_slow:.2f} x",
            f"{each.processor * 1e6:.0f} us",
            f"{each.times_processor:.2f} x",
            f"{each.per_second:.0f}",
        )
        for each in figures
    ]
    return columns(lines)
