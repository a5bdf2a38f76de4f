"""Every request from every caller over connections that are kept, and what each of them came to."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from meshctl.ir import Proxy
from tests.behaviour.client import Answer, fetch
from tests.behaviour.tables import Row
from tests.behaviour.world import Client, World
from tests.differential.worlds import caller_name

CONNECTIONS = 3
"""Of each caller, at a time."""


@dataclass(frozen=True)
class Exchange:
    """One request of one caller. ``arrivals``: what applications saw of it, in order."""

    caller: Proxy
    row: Row
    answer: Answer
    arrivals: list[dict[str, Any]]


def exchange(world: World, rows: Sequence[Row], callers: Sequence[Proxy]) -> list[Exchange]:
    """All rows from all callers, caller by caller and in the order of the rows."""
    parts = [(caller, part) for caller in callers for part in range(CONNECTIONS)]

    def ask(job: tuple[Proxy, int]) -> list[tuple[int, Answer]]:
        caller, part = job
        with contextlib.ExitStack() as stack:
            connections: dict[int, Client] = {}
            return [
                (number, _ask(world, caller, rows[number], connections, stack))
                for number in range(part, len(rows), CONNECTIONS)
            ]

    with ThreadPoolExecutor(len(parts)) as pool:
        answered = list(pool.map(ask, parts))
    seen = fetch(world.control, "/__echo/seen")
    found = []
    for caller in callers:
        own = [got for job, got in zip(parts, answered, strict=True) if job[0] is caller]
        for number, answer in sorted(itertools.chain(*own), key=lambda each: each[0]):
            found.append(Exchange(caller, rows[number], answer, seen.get(answer.identifier, [])))
    return found


def _ask(
    world: World, caller: Proxy, row: Row, connections: dict[int, Client], stack: contextlib.ExitStack
) -> Answer:
    if row.http not in connections:
        connections[row.http] = stack.enter_context(world.connection(_from(row, caller)))
    answer: Answer = connections[row.http].ask(row)
    return answer


def _from(row: Row, caller: Proxy) -> Row:
    return replace(row, caller=caller_name(caller), via="outbound")
