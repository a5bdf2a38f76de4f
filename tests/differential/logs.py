"""What the access logs say of the requests, against what the simulator says: route, status, tries, and who was noted."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tests.behaviour.world import World
from tests.differential import oracle
from tests.differential.exchanges import Exchange
from tests.differential.worlds import caller_name

LIMIT = 4.0
"""Seconds until a line has arrived; NGINX and Envoy write in batches."""

GLANCE = 0.2

Key = tuple[str, str, str]
"""Caller, method and path of lines, which tell nothing more of their request."""

Counts = dict[Key, Counter[tuple[Any, ...]]]


def key_of(exchange: Exchange) -> Key:
    """Under which the lines of a request are counted."""
    return caller_name(exchange.caller), exchange.row.method, exchange.row.target.partition("?")[0]


def log_faults(world: World, exchanges: list[Exchange]) -> dict[Key, list[str]]:
    """Where the outbound lines of all sidecars disagree with the simulator.

    Only of requests that agree otherwise, and not of malformed ones, of which there may be no line.
    """
    wanted, unknown = _wanted(world, exchanges)
    deadline = time.monotonic() + LIMIT
    got = _got(world)
    while (
        any(got.get(key) != wanted[key] for key in wanted if key not in unknown)
        and time.monotonic() < deadline
    ):
        time.sleep(GLANCE)
        got = _got(world)
    return {
        key: [
            f"outbound lines (route, status, tries): {_listed(got, key)}; by the simulator {_listed(wanted, key)}"
        ]
        for key in wanted
        if key not in unknown and got.get(key) != wanted[key]
    }


def _wanted(world: World, exchanges: list[Exchange]) -> tuple[Counts, set[Key]]:
    wanted: Counts = {}
    unknown = set()
    for each in exchanges:
        expected = oracle.fitting(world.mesh, each)
        if expected is None or expected.tries is None:
            unknown.add(key_of(each))
        elif expected.status != 400:
            line = (expected.route, each.answer.status, expected.tries)
            wanted.setdefault(key_of(each), Counter())[line] += 1
    return wanted, unknown


def _got(world: World) -> Counts:
    found: Counts = {}
    for line in _lines(world, "outbound"):
        if line["status"] != 400:
            key = (line["service"], line["method"], line["path"])
            found.setdefault(key, Counter())[(line["route"], line["status"], line["tries"])] += 1
    return found


def _lines(world: World, direction: str) -> Iterator[dict[str, Any]]:
    for program, line in list(world.lines):
        if program != "echo" and line.startswith("{"):
            document = json.loads(line)
            if document["direction"] == direction:
                yield document


def _listed(counts: Counts, key: Key) -> str:
    return (
        ", ".join(f"{count} x {line}" for line, count in sorted(counts.get(key, Counter()).items())) or "none"
    )
