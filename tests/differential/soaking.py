"""World after world: the next one starts while the present one is asked."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec.structs import replace

from tests.behaviour.tables import Row
from tests.behaviour.world import World
from tests.differential.comparing import CALLERS, Comparison, judge
from tests.differential.drawing import drawn
from tests.differential.exchanges import exchange
from tests.differential.meshes import meshes
from tests.differential.requests import requests
from tests.differential.worlds import Document, resolved, running

BATCH = 12
"""Meshes that hypothesis draws at a time, each a little different from those before."""


def documents(seed: int, folder: Path) -> Iterator[Document]:
    """Meshes without end that compile for all proxies."""
    for batch in itertools.count():
        for document in drawn(meshes(), seed + batch, BATCH):
            if resolved(document, CALLERS, folder) is not None:
                yield document


def rows_for(document: Document, seed: int, count: int) -> list[Row]:
    """About ``count`` requests for each callee, and each of them to the others too, whose conditions are in the same words."""
    names = list(document["services"])
    found = []
    for number, name in enumerate(names):
        for row in drawn(requests(document, name), seed + number, count):
            found += [replace(row, host=(row.host or "").replace(name, other)) for other in names]
    return found


def worlds(seed: int, count: int, folder: Path) -> Iterator[tuple[int, Document, Comparison]]:
    """Every world with its seed and what it shows."""
    meshes_ = documents(seed, folder / "drawn")

    def start(number: int) -> tuple[Document, World, contextlib.ExitStack, list[Row]]:
        document = next(meshes_)
        rows = rows_for(document, seed + number, count)
        with contextlib.ExitStack() as stack:
            world = stack.enter_context(running(document, CALLERS, folder / str(number)))
            return document, world, stack.pop_all(), rows
        raise AssertionError

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(start, 0)
        try:
            for number in itertools.count(1):
                document, world, stack, rows = coming.result()
                coming = pool.submit(start, number)
                with stack:
                    found = judge(document, world, exchange(world, rows, CALLERS))
                shutil.rmtree(folder / str(number - 1))
                yield number, document, found
        finally:
            with contextlib.suppress(Exception):
                coming.result()[2].close()
