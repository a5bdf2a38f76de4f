"""Who newly reaches whom through others, because of a call that can be made newly: chains of calls before and after."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import reduce
from itertools import pairwise
from operator import or_

from meshctl.ir import Mesh
from meshctl.ir.change import ANYBODY, NewWay, Opened
from meshctl.ir.reachability import Ground, Reachability, Way
from meshctl.simulate.reachability import reachability

Pair = tuple[str, str]
_Graph = Mapping[str, Collection[str]]


def ways_change(
    before: Mesh, after: Mesh, opened: Iterable[Opened], closed: Iterable[Pair], changed: Collection[str]
) -> tuple[tuple[NewWay, ...], tuple[Pair, ...]]:
    """The shortest way of each pair that is newly connected, by more than one call; and the pairs of whom only longer ways led
    from one to the other, and none does now. Both are sorted by callee and caller.

    ``opened`` and ``closed`` are what :func:`~meshctl.simulate.reach_change.reach_change` found of the same meshes: only
    what leads by those calls can differ. Of calls between services that are not in ``changed`` one mesh speaks for both.
    """
    new = {
        (each.caller, each.callee): each
        for each in opened
        if each.called and not each.more and ANYBODY not in (each.caller, each.callee)
    }
    gone = set(closed)
    concerned = _concerned((before, after), new.keys() | gone)
    if not concerned:
        return (), ()
    now = _graph(reachability(after, within=concerned))
    old = _with(now, _graph(reachability(before, among=changed, within=concerned)), changed)
    called = set(before.calls)
    ways = [_explained(way, new, called) for way in _only(now, old)]
    staying = {each.service for each in after.sidecars}
    lost = [each for each in _only(old, now) if each[0] in staying]
    return (
        tuple(sorted(ways, key=lambda each: (each.names[-1], each.names[0]))),
        tuple(sorted(((way[0], way[-1]) for way in lost), key=lambda pair: pair[::-1])),
    )


def _concerned(meshes: Iterable[Mesh], pairs: Collection[Pair]) -> frozenset[str]:
    """All that may be on a way between those whom ``pairs`` may connect; nobody where none is longer than a pair."""
    if not pairs:
        return frozenset()
    callers: dict[str, set[str]] = {}
    callees: dict[str, set[str]] = {}
    for mesh in meshes:
        for sidecar in mesh.sidecars:
            # A superset of what reaches: whoever is sent anything to is a cluster.
            for callee in {each.name.partition(".")[0] for each in sidecar.clusters}:
                callers.setdefault(callee, set()).add(sidecar.service)
                callees.setdefault(sidecar.service, set()).add(callee)
    begins, ends = {pair[0] for pair in pairs}, {pair[1] for pair in pairs}
    first, last = _closure(callers, begins), _closure(callees, ends)
    if first == begins and last == ends and not begins & ends:
        return frozenset()
    return _closure(callees, first) & _closure(callers, last)


def _with(graph: _Graph, other: _Graph, changed: Collection[str]) -> dict[str, list[str]]:
    """The one graph with the calls from and to those who changed taken from the other."""
    found: dict[str, list[str]] = {}
    for caller in graph.keys() | other.keys():
        same = () if caller in changed else (each for each in graph.get(caller, ()) if each not in changed)
        found[caller] = sorted((*same, *other.get(caller, ())))
    return found


def _graph(found: Reachability) -> dict[str, list[str]]:
    """Callees by caller, sorted; without what `egress: allow` brings, which is told as such."""
    graph: dict[str, list[str]] = {}
    for callee in sorted(found.permissions):
        for caller, some in found.permissions[callee].items():
            if any(each.ground is not Ground.EGRESS for each in some):
                graph.setdefault(caller, []).append(callee)
    return graph


def _closure(graph: _Graph, names: Iterable[str]) -> frozenset[str]:
    found = set(names)
    left = list(found)
    while left:
        for each in graph.get(left.pop(), ()):
            if each not in found:
                found.add(each)
                left.append(each)
    return frozenset(found)


def _only(graph: _Graph, other: _Graph) -> Iterator[Way]:
    """The shortest ways of several calls in ``graph`` that lead where none does in ``other``."""
    names = sorted({*graph, *other, *(each for callees in graph.values() for each in callees)})
    bits = {name: 1 << number for number, name in enumerate(names)}
    here, there = _reached(graph, bits), _reached(other, bits)
    for caller in sorted(graph):
        if here[caller] & ~there.get(caller, 0) & ~bits[caller]:
            for callee, way in _ways(graph, caller).items():
                if len(way) > 2 and not bits[callee] & there.get(caller, 0):
                    yield way


def _reached(graph: _Graph, bits: Mapping[str, int]) -> dict[str, int]:
    """By caller a set of bits, one for each that some way leads to: whole sets are joined at once."""
    found = {name: reduce(or_, (bits.get(each, 0) for each in callees), 0) for name, callees in graph.items()}
    growing = True
    while growing:
        growing = False
        for name, callees in graph.items():
            more = reduce(or_, (found.get(each, 0) for each in callees), found[name])
            growing = growing or more != found[name]
            found[name] = more
    return found


def _ways(graph: _Graph, caller: str) -> dict[str, Way]:
    """By whom is reached, the shortest way there; of several the first by the names on it."""
    found: dict[str, Way] = {caller: (caller,)}
    left = deque([caller])
    while left:
        name = left.popleft()
        for callee in graph.get(name, ()):
            if callee not in found:
                found[callee] = (*found[name], callee)
                left.append(callee)
    del found[caller]
    return found


def _explained(way: Way, new: Mapping[Pair, Opened], called: Collection[Pair]) -> NewWay:
    """The first call on it that could not be made before, of which there is one, or nothing would be new."""
    pair = next(each for each in pairwise(way) if each in new)
    return NewWay(way, pair, _because(new[pair], pair in called))


def _because(opened: Opened, called: bool) -> str:  # noqa: FBT001 - one of two sentences
    permission = opened.permission
    caller, callee = opened.caller, opened.callee
    if permission.via not in ("", caller, callee):
        return f"route `{permission.route}` of `{permission.via}` now leads `{caller}` to `{callee}`"
    return f"`{callee}` now lets `{caller}` in" if called else f"`{caller}` now calls `{callee}`"
