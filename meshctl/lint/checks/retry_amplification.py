"""Retries multiply along call paths: the product of tries, exactly, in time linear in the calls.

A hop multiplies when it repeats what an application may have seen, on an answer or on none in time: the failure
of a service far down then comes back up and is tried again at every such hop. Retries on `connect-failure` and
`refused-stream` do not, for no application saw those requests and what travels up is another status.

The worst path is found over the strongly connected parts of the call graph, which have no cycles among
them. Inside such a part retries would multiply with every round, so it is told by its shortest cycle, and
its inner calls count once in paths that lead through it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from meshctl.diagnostics import Related
from meshctl.lint.checks.base import Check, Violation, path_text, whole
from meshctl.lint.checks.graph import components, shortest_path
from meshctl.lint.facts import CallFacts, Value, World, place

MOST = 1_000_000_000
"""Counted no further: nobody needs the digits, and long numbers take long to multiply."""

_UNSEEN = frozenset({"connect-failure", "refused-stream"})


def tries(call: CallFacts) -> int:
    """How many requests one request can become at this hop when the callee keeps failing."""
    return call.attempts + 1 if not _UNSEEN.issuperset(call.retry_on) else 1


class _CallGraph:
    """The calls between strongly connected parts, and within."""

    def __init__(self, world: World) -> None:
        self.calls = {(each.caller, each.callee): each for each in world.calls}
        self.successors: dict[str, list[str]] = {name: [] for name in world.services}
        for caller, callee in self.calls:
            self.successors.setdefault(caller, []).append(callee)
            self.successors.setdefault(callee, [])
        self.parts = components(self.successors)
        self.part_of = {name: number for number, part in enumerate(self.parts) for name in part}

    def factor(self, caller: str, callee: str) -> int:
        """The tries of one hop; 1 inside a part."""
        inside = self.part_of[caller] == self.part_of[callee]
        return 1 if inside else tries(self.calls[caller, callee])


def check(world: World, params: Mapping[str, Value]) -> Iterator[Violation]:
    """Cycles with retries, and the worst path to each service beyond which nothing multiplies further."""
    graph = _CallGraph(world)
    yield from _cycles(graph)
    yield from _paths(graph, whole(params, "limit"))


def _cycles(graph: _CallGraph) -> Iterator[Violation]:
    for part in graph.parts:
        inside = set(part)
        retrying = sorted(
            (caller, callee)
            for caller in part
            for callee in graph.successors[caller]
            if callee in inside and tries(graph.calls[caller, callee]) > 1
        )
        if not retrying:
            continue
        caller, callee = retrying[0]
        cycle = [caller, *shortest_path(graph.successors, callee, caller, inside)]
        hops = [graph.calls[pair] for pair in pairwise(cycle)]
        product = 1
        for hop in hops:
            product = min(product * tries(hop), MOST)
        yield _violation(hops, cycle, f"{_number(product)} each time round, without end")


def _paths(graph: _CallGraph, limit: int) -> Iterator[Violation]:
    worst, came_from = _worst_paths(graph)
    for end in sorted(came_from):
        last = came_from[end]
        multiplies = graph.factor(last, end) > 1
        goes_on = any(graph.factor(end, callee) > 1 for callee in graph.successors[end])
        if worst[end] > limit and multiplies and not goes_on:
            path = _path(graph, came_from, end)
            hops = [graph.calls[pair] for pair in pairwise(path)]
            yield _violation(hops, path, _number(worst[end]))


def _worst_paths(graph: _CallGraph) -> tuple[dict[str, int], dict[str, str]]:
    """The most requests that one can become on its way to each service, and where they come from."""
    worst = {name: 1 for part in graph.parts for name in part}
    came_from: dict[str, str] = {}
    for part in reversed(graph.parts):
        entry = max(part, key=lambda name: (worst[name], name))
        for name in part:
            # What reaches one service of the part reaches all of them.
            if worst[name] < worst[entry]:
                worst[name] = worst[entry]
                came_from[name] = entry
        for caller in sorted(part):
            for callee in graph.successors[caller]:
                product = min(worst[caller] * graph.factor(caller, callee), MOST)
                if product > worst[callee]:
                    worst[callee] = product
                    came_from[callee] = caller
    return worst, came_from


def _path(graph: _CallGraph, came_from: Mapping[str, str], end: str) -> list[str]:
    path = [end]
    while path[-1] in came_from:
        before = came_from[path[-1]]
        if (before, path[-1]) in graph.calls:
            path.append(before)
            continue
        inside = set(graph.parts[graph.part_of[before]])
        path += shortest_path(graph.successors, before, path[-1], inside)[-2::-1]
    return path[::-1]


def _number(product: int) -> str:
    return str(product) if product < MOST else f"{MOST:,} or more"


def _violation(hops: list[CallFacts], path: list[str], number: str) -> Violation:
    multiplying = [hop for hop in hops if tries(hop) > 1]
    related = tuple(
        Related(at, f"{hop.caller} → {hop.callee}: {tries(hop)} tries")
        for hop in multiplying
        if (at := hop.retries_at or place(hop)) is not None
    )
    return Violation(
        at=place(multiplying[-1]),
        values={"path": path_text(path), "first": path[0], "last": path[-1], "number": number},
        related=related,
    )


CHECK = Check(check, {"limit": 9}, ("path", "first", "last", "number"))
