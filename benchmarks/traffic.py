"""What a feature costs a request, on each proxy, against the same proxy with nothing asked for.

Each feature has a mesh of its own on loopback: a caller, a callee and a destination of copies, with applications behind
them that answer at once. Processor time is that of the caller's and the callee's sidecars, from the scheduler's own count.
Rounds take turns with those of a mesh that asks for nothing, and ratios compare the best of each: what else runs on the machine
only ever adds.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks import sidecars
from benchmarks.load import RequestsFailedError
from benchmarks.sidecars import Alive, Asking, Work
from benchmarks.table import columns
from meshctl import ir
from meshctl.live.processes import ProcessGroup


@dataclass(frozen=True, slots=True)
class Feature:
    """What is asked for: of the callee's traffic policy, and of the whole mesh."""

    callee: Mapping[str, Any] = field(default_factory=dict)
    mesh: Mapping[str, Any] = field(default_factory=dict)


PLAIN = "nothing asked for"
_UNTIL = (datetime.now(UTC) + timedelta(days=100)).date().isoformat()


def _route(**fields: Any) -> Feature:  # noqa: ANN401 - any field of a route
    return Feature({"routes": [{"name": "all", **fields}]})


def _match(**condition: Any) -> Feature:  # noqa: ANN401 - any field of a match
    return _route(matches=[condition])


FEATURES: Mapping[str, Feature] = {
    PLAIN: Feature(),
    "metrics": Feature(mesh={"metrics": {"format": "prometheus"}}),
    "timeout": Feature({"timeout": "5s"}),
    "body timeout": Feature({"bodyTimeout": "5s"}),
    "streaming": Feature({"streaming": True}),
    "retries": Feature(
        {"retries": {"attempts": 1, "retryOn": ["connect-failure", "gateway-error"], "nonIdempotent": True}}
    ),
    "per-try timeout": Feature(
        {
            "timeout": "5s",
            "retries": {
                "attempts": 1,
                "retryOn": ["connect-failure", "per-try-timeout"],
                "perTryTimeout": "2s",
            },
        }
    ),
    "retry budget": Feature(
        {"retries": {"attempts": 1, "retryOn": ["connect-failure", "gateway-error"], "budget": "20%"}}
    ),
    "mirror": _route(mirror=[{"service": "copies"}]),
    "split": _route(backends=[{"service": "callee", "weight": 90}, {"service": "callee", "weight": 10}]),
    "fault": _route(
        fault={
            "delay": {"duration": "1ms", "percent": "0.01%"},
            "abort": {"status": 503, "percent": "0.01%"},
        }
    ),
    "rate limit": Feature({"rateLimit": {"requests": 1_000_000, "per": "1s", "key": "caller"}}),
    "least-request": Feature({"loadBalancing": {"policy": "least-request"}}),
    "ring-hash": Feature({"loadBalancing": {"policy": "ring-hash", "hashOn": {"header": "x-user"}}}),
    "outlier detection": Feature({"outlierDetection": {"consecutiveErrors": 5}}),
    "health check": Feature({"healthCheck": {"http": {"path": "/healthz"}}, "healthPath": "/healthz"}),
    "circuit breaker": Feature(
        {"circuitBreaker": {"maxConnections": 100, "maxPendingRequests": 100, "maxRetries": 10}}
    ),
    "header match": _match(headers={"x-user": "callee"}),
    "joined header match": _match(headers={"accept": "callee"}),
    "path regex": _match(path={"regex": "/[a-z]+"}),
    "path rewrite": _route(rewrite={"path": {"prefix": "/v1"}}, matches=[{"path": {"prefix": "/items"}}]),
    "request headers": _route(requestHeaders={"set": {"x-a": "1"}, "add": {"x-b": "2"}, "remove": ["x-c"]}),
    "allow rules": Feature(
        {"allow": [{"from": ["caller"], "methods": ["POST"], "paths": [{"prefix": "/items"}]}]}
    ),
    "revocation lists": Feature(mesh={"mtls": {"mode": "strict", "crl": True}}),
    "permissive": Feature({"mtls": {"mode": "permissive", "until": _UNTIL}}),
    "plaintext": Feature({"mtls": {"mode": "disabled"}}, mesh={"authorization": {"mode": "open"}}),
    "HTTP/2": Feature({"protocol": "http2"}),
}
"""What costs something, or is emulated somewhere (see capabilities.md)."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one feature on one proxy: seconds by the clock, and of processor in the best round, for a request."""

    proxy: str
    feature: str
    median: float
    slow: float
    """The 99th percentile."""
    processor: float
    times: float
    """The median of the best round against that of the same proxy with nothing asked for."""
    processor_times: float


_ASKING = Asking(500, 1)


def measure(folder: Path, proxies: Sequence[ir.Proxy], rounds: int) -> Iterator[Figures]:
    """Every feature on every proxy. One that a proxy refuses has no figures."""
    networks = sidecars.networks()
    for proxy in proxies:
        with ProcessGroup() as group:
            plain = _alive(folder, proxy, PLAIN, next(networks), group)
            for feature in FEATURES:
                with ProcessGroup() as others:
                    alive = plain and _alive(folder, proxy, feature, next(networks), others)
                    if plain is None or alive is None:
                        print(f"{proxy} refuses {feature}", file=sys.stderr)
                        continue
                    try:
                        yield _compared(str(proxy), feature, plain, alive, rounds)
                    except (RequestsFailedError, subprocess.CalledProcessError):
                        print(f"{feature} on {proxy}: a request failed", file=sys.stderr)


def _compared(proxy: str, feature: str, plain: Alive, alive: Alive, rounds: int) -> Figures:
    alive.ask(_ASKING)
    turns: list[tuple[Work, Work]] = [(plain.ask(_ASKING), alive.ask(_ASKING)) for _ in range(rounds)]
    taken = [seconds for _, its in turns for seconds in its.taken]
    return Figures(
        proxy,
        feature,
        statistics.median(taken),
        statistics.quantiles(taken, n=100)[98],
        min(its.processor for _, its in turns),
        min(_median(its) for _, its in turns) / min(_median(bare) for bare, _ in turns),
        min(its.processor for _, its in turns) / min(bare.processor for bare, _ in turns),
    )


def _median(work: Work) -> float:
    return statistics.median(work.taken)


def _alive(folder: Path, proxy: ir.Proxy, feature: str, network: str, group: ProcessGroup) -> Alive | None:
    """The mesh of one feature; None where the proxy cannot do it."""
    place = folder / network
    multiplexed = "protocol" in FEATURES[feature].callee
    sidecars.applications(place / "applications", [network], group, multiplexed=multiplexed)
    return sidecars.built(place / "meshctl", network, mesh(proxy, feature, network), group)


def mesh(proxy: ir.Proxy, feature: str, network: str) -> dict[str, Any]:
    """The spec of a feature's mesh; ``network`` are the first three numbers of its addresses."""
    wanted = FEATURES[feature]
    return sidecars.spec(proxy, network, wanted.callee, wanted.mesh)


def render(figures: Sequence[Figures]) -> str:
    """The table as text; the ratios are to the same proxy with nothing asked for."""
    lines = [("proxy", "feature", "median", "", "p99", "processor", "")]
    lines += [
        (
            each.proxy,
            each.feature,
            f"{each.median * 1e3:.2f} ms",
            f"{each.times:.2f} x",
            f"{each.slow * 1e3:.2f} ms",
            f"{each.processor * 1e6:.0f} us",
            f"{each.processor_times:.2f} x",
        )
        for each in figures
    ]
    return columns(lines)
