"""What a feature costs a request, on each proxy, against the same proxy with nothing asked for.

Each feature has a mesh of its own on loopback: a caller, a callee and a destination of copies, with echo applications
behind them. Processor time is that of the caller's and the callee's sidecars, from the scheduler's own count. Rounds take
turns with those of a mesh that asks for nothing, and ratios compare the best of each: what else runs on the machine only
ever adds.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.children import ROOT
from meshctl import ir, pipeline
from meshctl.live.processes import Process, ProcessGroup, Program
from meshctl.live.programs import find
from meshctl.live.sidecars import Bundle, await_open, start
from meshctl.pki.authority import create_authority, save_authority
from meshctl.targets import target

PLAIN = "nothing asked for"
FEATURES: Mapping[str, dict[str, Any]] = {
    PLAIN: {},
    "timeout": {"timeout": "5s"},
    "body timeout": {"bodyTimeout": "5s"},
    "retries": {"retries": {"attempts": 1, "retryOn": ["connect-failure", "gateway-error"], "nonIdempotent": True}},
    "mirror": {"routes": [{"name": "all", "mirror": [{"service": "copies"}]}]},
    "fault": {
        "routes": [
            {
                "name": "all",
                "fault": {
                    "delay": {"duration": "1ms", "percent": "0.01%"},
                    "abort": {"status": 503, "percent": "0.01%"},
                },
            }
        ]
    },
    "rate limit": {"rateLimit": {"requests": 1_000_000, "per": "1s", "key": "caller"}},
    "least-request": {"loadBalancing": {"policy": "least-request"}},
    "ring-hash": {"loadBalancing": {"policy": "ring-hash", "hashOn": {"header": "x-user"}}},
    "outlier detection": {"outlierDetection": {"consecutiveErrors": 5}},
    "circuit breaker": {"circuitBreaker": {"maxConnections": 100, "maxPendingRequests": 100, "maxRetries": 10}},
    "header match": {"routes": [{"name": "all", "matches": [{"headers": {"x-user": "callee"}}]}]},
    "HTTP/2": {"protocol": "http2"},
}  # fmt: skip
"""Of the callee's traffic policy."""

_PORT = 8080
_CONTROL, _CALLER, _CALLEE, _COPIES = range(1, 5)
_NETWORKS = [f"127.{second}.{third}" for second in range(100, 110) for third in range(1, 250)]


@dataclass(frozen=True, slots=True)
class Round:
    """Some requests, one after the other: seconds by the clock, and of processor for each."""

    taken: list[float]
    processor: float

    @property
    def median(self) -> float:
        """Of the clock."""
        return statistics.median(self.taken)


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


@dataclass(frozen=True, slots=True)
class Alive:
    """A running mesh: where its client asks, and the sidecars whose work counts."""

    caller: str
    sidecars: Sequence[Process]

    def ask(self, requests: int) -> Round:
        """So many requests, and what they cost."""
        before = sum(map(_processor, self.sidecars))
        command = [sys.executable, "-m", "benchmarks.load", self.caller, "15001", "callee", str(requests)]
        told = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
        spent = sum(map(_processor, self.sidecars)) - before
        return Round(json.loads(told.stdout), spent / requests)


def installed() -> list[ir.Proxy]:
    """The proxies that are on this machine."""
    return [proxy for proxy in ir.Proxy if find(target(proxy).COMMANDS.binary)]


def measure(folder: Path, proxies: Sequence[ir.Proxy], requests: int, rounds: int) -> Iterator[Figures]:
    """Every feature on every proxy, ``requests`` in each round. A feature that a proxy refuses has no figures."""
    networks = iter(_NETWORKS[os.getpid() % len(_NETWORKS) :] + _NETWORKS)
    for proxy in proxies:
        with _alive(folder, proxy, PLAIN, next(networks)) as plain:
            if plain is None:
                continue
            for feature in FEATURES:
                with _alive(folder, proxy, feature, next(networks)) as alive:
                    if alive is None:
                        continue
                    try:
                        yield _compared(str(proxy), feature, plain, alive, requests, rounds)
                    except subprocess.CalledProcessError:
                        print(f"{feature} on {proxy}: a request failed", file=sys.stderr)


def _compared(proxy: str, feature: str, plain: Alive, alive: Alive, requests: int, rounds: int) -> Figures:
    alive.ask(requests // 5)
    turns = [(plain.ask(requests), alive.ask(requests)) for _ in range(rounds)]
    taken = [seconds for _, its in turns for seconds in its.taken]
    return Figures(
        proxy,
        feature,
        statistics.median(taken),
        statistics.quantiles(taken, n=100)[98],
        min(its.processor for _, its in turns),
        min(its.median for _, its in turns) / min(bare.median for bare, _ in turns),
        min(its.processor for _, its in turns) / min(bare.processor for bare, _ in turns),
    )


@contextlib.contextmanager
def _alive(folder: Path, proxy: ir.Proxy, feature: str, network: str) -> Iterator[Alive | None]:
    """The mesh of one feature; None where the proxy cannot do it."""
    place = folder / network
    place.mkdir(parents=True)
    spec = place / "mesh.yaml"
    spec.write_text(json.dumps(mesh(proxy, feature, network)), encoding="utf-8")
    validated = pipeline.validate(str(spec))
    if validated.mesh is None:
        yield None
        return
    now = datetime.now(UTC)
    save_authority(place / "ca", create_authority(validated.mesh.trust_domain, now))
    pipeline.build(validated, place / "build", now=now, authority=place / "ca", verify="none")
    with ProcessGroup() as group:
        sidecars = _started(
            validated.mesh, place, network, group, multiplexed="protocol" in FEATURES[feature]
        )
        yield Alive(f"{network}.{_CALLER}", sidecars)


def mesh(proxy: ir.Proxy, feature: str, network: str) -> dict[str, Any]:
    """The spec of a feature's mesh; ``network`` are the first three numbers of its addresses."""

    def service(number: int, **others: Any) -> dict[str, Any]:  # noqa: ANN401 - any field of a service
        return {"port": _PORT, "endpoints": [{"address": f"{network}.{number}"}], **others}

    return {
        "apiVersion": "meshctl.dev/v1",
        "mesh": {
            "name": "bench",
            "domain": "bench.mesh",
            "trustDomain": "bench.example",
            "bind": "endpoint",
            "proxy": str(proxy),
        },
        "services": {
            "caller": service(_CALLER, calls={"callee": {}, "copies": {}}),
            "callee": service(_CALLEE, **FEATURES[feature]),
            "copies": service(_COPIES),
        },
    }


def _started(
    mesh: ir.Mesh, place: Path, network: str, group: ProcessGroup, *, multiplexed: bool
) -> list[Process]:
    """The mesh, alive; the sidecars of the caller and of the callee."""
    control = ir.SocketAddress(f"{network}.{_CONTROL}", _PORT)
    kind = "h2c:" if multiplexed else ""
    applications = (f"{kind}{network}.{_CALLEE}:{_PORT}=callee/1", f"{network}.{_COPIES}:{_PORT}=copies/1")
    echo = (sys.executable, "-m", "meshctl.live.echo", *applications, "--control", str(control))
    await_open(control, group.start(Program("echo", echo, ROOT)))
    bundles = [Bundle(each, place / "build" / each.service / each.instance) for each in mesh.sidecars]
    processes = start(bundles, group)
    return [
        process
        for bundle, process in zip(bundles, processes, strict=True)
        if bundle.sidecar.service in ("caller", "callee")
    ]


def _processor(process: Process) -> float:
    """Seconds of processor that all threads of its process group have had, by the scheduler's count."""
    nanoseconds = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            group = int(stat.read_text().rpartition(")")[2].split()[2])
            if group == process.group:
                threads = stat.parent.glob("task/*/schedstat")
                nanoseconds += sum(int(each.read_text().split()[0]) for each in threads)
        except OSError:
            continue
    return nanoseconds / 1e9


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
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
