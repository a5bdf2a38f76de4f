"""The smallest mesh and the smallest request that still disagree: parts are left out one by one while they do."""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from tests.behaviour.tables import Row
from tests.differential.comparing import Disagreement, compare
from tests.differential.worlds import Document, caller_name, resolved

Step = tuple[str | int, ...]
"""The keys and places from a document to one of its parts."""


def reduced(
    document: Document, found: Disagreement, folder: Path, seconds: float
) -> tuple[Document, Disagreement]:
    """What is left after so many seconds, or when nothing more can go; each attempt starts a small mesh."""
    deadline = time.monotonic() + seconds
    attempts = itertools.count()

    def disagrees(smaller: Document, *rows: Row) -> Disagreement | None:
        if time.monotonic() > deadline or resolved(smaller, [found.caller], folder / "tried") is None:
            return None
        there = compare(smaller, rows, [found.caller], folder=folder / str(next(attempts)))
        return next(iter(there.disagreements), None)

    alone = _seen_by(document, caller_name(found.caller))
    best = disagrees(alone, found.row)
    if best is None:
        return document, found
    document = alone
    again = True
    while again:
        again = False
        while (still := disagrees(document, *_simpler(best.row))) is not None:
            best = still
        for step in list(_parts(document)):
            smaller = _without(document, step)
            still = disagrees(smaller, best.row) if smaller is not None else None
            if smaller is not None and still is not None:
                document, best, again = smaller, still, True
    return document, best


def _seen_by(document: Document, caller: str) -> Document:
    """What concerns one caller: matches and rules for others only are gone."""
    seen = copy.deepcopy(document)
    for service in seen["services"].values():
        for key in ("allow", "deny"):
            if key in service:
                service[key] = _about(service[key], caller)
        if not service.get("deny", True):
            del service["deny"]
        for route in service.get("routes", ()):
            if "matches" in route:
                route["matches"] = _about(route["matches"], caller)
        if "routes" in service:
            service["routes"] = [each for each in service["routes"] if each.get("matches", True)]
    return seen


def _about(conditions: list[Document], caller: str) -> list[Document]:
    left = []
    for each in conditions:
        callers = [name for name in each.get("from", ("*",)) if name in (caller, "*")]
        if callers:
            left.append(each | ({"from": callers} if "from" in each else {}))
    return left


def _parts(part: Any, path: Step = ()) -> Iterator[Step]:
    """All parts of a document, the larger ones first; of lists from the end, so that places stay what they are."""
    keys: list[str | int] = []
    if isinstance(part, dict):
        keys = list(part)
    elif isinstance(part, list):
        keys = list(reversed(range(len(part))))
    for key in keys:
        yield (*path, key)
    for key in keys:
        yield from _parts(part[key], (*path, key))


_KEPT = ("name", "proxy")


def _without(document: Document, step: Step) -> Document | None:
    """The document without one part; None where it has gone already, or a spec needs it."""
    if step[-1] in _KEPT or len(step) == 1:
        return None
    smaller = copy.deepcopy(document)
    part: Any = smaller
    try:
        for key in step[:-1]:
            part = part[key]
        del part[step[-1]]
    except (KeyError, IndexError, TypeError):
        return None
    return smaller if smaller["services"] else None


def _simpler(row: Row) -> Iterator[Row]:
    """The same request with one thing less; one world can be asked all of them."""
    for index in range(len(row.headers)):
        yield replace(row, headers=row.headers[:index] + row.headers[index + 1 :])
    for key in row.orders:
        yield replace(row, orders={name: value for name, value in row.orders.items() if name != key})
    if row.body is not None:
        yield replace(row, body=None)
    path, mark, query = row.target.partition("?")
    if mark:
        yield replace(row, target=path)
    for part in query.split("&") if "&" in query else ():
        yield replace(row, target=f"{path}?{part}")
    if row.method != "GET":
        yield replace(row, method="GET", body=None)
