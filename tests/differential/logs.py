"""What the access logs say of the requests, against what the simulator says: route, status, tries, and who was noted."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.behaviour.world import World
from tests.differential import oracle
from tests.differential.emulations import declared
from tests.differential.exchanges import Exchange
from tests.differential.worlds import caller_name

LIMIT = 4.0
"""Seconds until a line has arrived; NGINX and Envoy write in batches."""

GLANCE = 0.2

Key = tuple[str, ...]
"""What a line tells of its request, which is not enough to tell it from others like it."""

Counts = dict[Key, Counter[tuple[Any, ...]]]


@dataclass
class Book:
    """The lines of one direction that should be there, and the requests that they are about."""

    what: str
    lines: Counts = field(default_factory=dict)
    owners: dict[Key, list[int]] = field(default_factory=dict)
    unknown: set[Key] = field(default_factory=set)
    """Of requests about which sidecars and simulator do not agree, or of which there need be no line."""

    def expect(self, key: Key, owner: int, *lines: tuple[Any, ...]) -> None:
        """So many more lines of a key, for one request."""
        self.lines.setdefault(key, Counter()).update(lines)
        self.owners.setdefault(key, []).append(owner)

    def faults(self, written: Counts) -> Iterator[tuple[int, str]]:
        """Requests whose lines are not as they should be."""
        for key in self.lines.keys() - self.unknown:
            got, wanted = written.get(key, Counter()), self.lines[key]
            if got != wanted:
                fault = f"{self.what}: {_listed(got)}; by the simulator {_listed(wanted)}"
                yield from ((owner, fault) for owner in self.owners[key])


def log_faults(world: World, exchanges: list[Exchange]) -> dict[int, list[str]]:
    """Where the lines of all sidecars disagree with the simulator, by the number of the exchange.

    Not where a declared difference may show in the lines alone: both may answer the same, and by other routes.
    """
    outbound, inbound = _books(world, exchanges)
    deadline = time.monotonic() + LIMIT
    while True:
        found: dict[int, list[str]] = {}
        faults = (*outbound.faults(_outbound(world)), *inbound.faults(_noted(world)))
        for owner, fault in faults:
            found.setdefault(owner, []).append(fault)
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(GLANCE)


def _books(world: World, exchanges: list[Exchange]) -> tuple[Book, Book]:
    outbound = Book("outbound lines (route, status, tries)")
    inbound = Book("inbound lines with audit (callee)")
    for number, each in enumerate(exchanges):
        caller, expected = caller_name(each.caller), oracle.fitting(world.mesh, each)
        key = (caller, each.row.method, each.row.target.partition("?")[0])
        if declared(world.mesh, each, [outbound.what]):
            expected = None
        if expected is None or expected.tries is None:
            outbound.unknown.add(key)
        elif expected.status != 400:
            outbound.expect(key, number, (expected.route, each.answer.status, expected.tries))
        for arrival in each.arrivals:
            seen = (caller, arrival["method"], arrival["target"].partition("?")[0])
            if expected is None:
                inbound.unknown.add(seen)
            else:
                inbound.expect(seen, number, *([(arrival["service"],)] if expected.audited else []))
    return outbound, inbound


def _outbound(world: World) -> Counts:
    found: Counts = {}
    for line in _lines(world, "outbound"):
        if line["status"] != 400:
            key = (line["service"], line["method"], line["path"])
            found.setdefault(key, Counter())[(line["route"], line["status"], line["tries"])] += 1
    return found


def _noted(world: World) -> Counts:
    found: Counts = {}
    for line in _lines(world, "inbound"):
        if line["audit"] == "denied":
            key = (line["caller"], line["method"], line["path"])
            found.setdefault(key, Counter())[(line["service"],)] += 1
    return found


def _lines(world: World, direction: str) -> Iterator[dict[str, Any]]:
    for program, line in list(world.lines):
        if program != "echo" and line.startswith("{"):
            document = json.loads(line)
            if document["direction"] == direction:
                yield document


def _listed(lines: Counter[tuple[Any, ...]]) -> str:
    return ", ".join(f"{count} x {line}" for line, count in sorted(lines.items())) or "none"
