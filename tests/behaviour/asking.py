"""How the requests of a row are made: one after the other, by several clients, with a key that changes."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from msgspec.structs import replace

SOURCES = "127.49"
"""Where clients come from when their address is the key."""


def ask_all(world, row, connection=None):
    """All answers; on ``connection`` where one client goes the way of the step before."""
    clients = row.times if row.together else row.clients
    numbers = itertools.count()
    ends = None if row.lasting is None else time.monotonic() + row.lasting

    def turns() -> Iterator[int]:
        """Numbers of requests for one client, who shares them with the others."""
        for number in numbers:
            over = number >= row.times if ends is None else time.monotonic() >= ends
            if over:
                return
            yield number

    def ask() -> list:
        with contextlib.ExitStack() as stack:
            own = connection if clients == 1 else None
            own = own or stack.enter_context(world.connection(row))
            return [_ask_once(world, row, number, own) for number in turns()]

    if clients == 1:
        return ask()
    with ThreadPoolExecutor(clients) as pool:
        return [answer for made in [pool.submit(ask) for _ in range(clients)] for answer in made.result()]


def _ask_once(world, row, number, connection):
    if row.pause and number:
        time.sleep(row.pause)
    if not row.vary:
        return connection.ask(row)
    key = number % row.vary["keys"]
    if row.vary.get("source"):
        with world.connection(row, f"{SOURCES}.{key // 200 + 1}.{key % 200 + 1}") as own:
            return replace(own.ask(row), key=f"key-{key}")
    header = ("cookie", f"{row.vary['cookie']}=key-{key}") if "cookie" in row.vary else None
    header = header or (row.vary["header"], f"key-{key}")
    varied = replace(row, headers=[*row.headers, header])
    return replace(connection.ask(varied), key=f"key-{key}")
