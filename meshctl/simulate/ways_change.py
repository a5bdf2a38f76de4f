"""Who newly reaches whom through others, because of a call that can be made newly: chains of calls before and after."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise

from meshctl.ir import Mesh
from meshctl.ir.change import ANYBODY, NewWay, Opened
from meshctl.ir.reachability import Ground, Reachability, Way
from meshctl.simulate.reachability import reachability

Pair = tuple[str, str]
_Graph = Mapping[str, Collection[str]]


def ways_change(
    before: Mesh, after: Mesh, opened: Iterable[Opened], closed: Iterable[Pair]
) -> tuple[tuple[NewWay, ...], tuple[Pair, ...]]:
    """The shortest way of each pair that is newly connected, by more than one call; and the pairs of whom only longer ways led
    from one to the other, and none does now. Both are sorted by callee and caller.

    ``opened`` and ``closed`` are what :func:`~meshctl.simulate.reach_change.reach_change` found of the same meshes: only
    what leads by those calls can differ.
    """
    new = {
        (each.caller, each.callee): each
        for each in opened
        if each.called and not each.more and ANYBODY not in (each.caller, each.callee)
    }
    gone = set(closed)
    if not (new or gone):
        return (), ()
    concerned = _concerned((*before.calls, *after.calls), new.keys() | gone)
    old, now = (_graph(reachability(mesh, among=concerned)) for mesh in (before, after))
    called = set(before.calls)
    ways = [
        _explained(way, new, called) for way in _only(now, old, _upstream(now, {pair[0] for pair in new}))
    ]
    staying = {each.service for each in after.sidecars}
    lost = _only(old, now, _upstream(old, {pair[0] for pair in gone}) & staying)
    return (
        tuple(sorted(ways, key=lambda each: (each.names[-1], each.names[0]))),
        tuple(sorted(((way[0], way[-1]) for way in lost), key=lambda pair: pair[::-1])),
    )


def _concerned(calls: Iterable[Pair], pairs: Collection[Pair]) -> frozenset[str]:
    """All that may be on a way by one of ``pairs``: who may come to its caller, and where one may go from its callee."""
    callers: dict[str, list[str]] = {}
    callees: dict[str, list[str]] = {}
    for caller, callee in calls:
        callers.setdefault(callee, []).append(caller)
        callees.setdefault(caller, []).append(callee)
    return _closure(callers, (pair[0] for pair in pairs)) | _closure(callees, (pair[1] for pair in pairs))


def _graph(found: Reachability) -> dict[str, list[str]]:
    """Callees by caller, sorted; without what `egress: allow` brings, which is told as such."""
    graph: dict[str, list[str]] = {}
    for callee in sorted(found.permissions):
        for caller, some in found.permissions[callee].items():
            if any(each.ground is not Ground.EGRESS for each in some):
                graph.setdefault(caller, []).append(callee)
    return graph


def _upstream(graph: _Graph, names: Collection[str]) -> frozenset[str]:
    callers: dict[str, list[str]] = {}
    for caller, callees in graph.items():
        for callee in callees:
            callers.setdefault(callee, []).append(caller)
    return _closure(callers, names)


def _closure(graph: _Graph, names: Iterable[str]) -> frozenset[str]:
    found = set(names)
    left = list(found)
    while left:
        for each in graph.get(left.pop(), ()):
            if each not in found:
                found.add(each)
                left.append(each)
    return frozenset(found)


def _only(graph: _Graph, other: _Graph, callers: Collection[str]) -> Iterator[Way]:
    """The shortest ways of several calls in ``graph`` that begin at ``callers`` and lead where none does in ``other``."""
    for caller in callers:
        elsewhere = _closure(other, (caller,))
        for callee, way in _ways(graph, caller).items():
            if len(way) > 2 and callee not in elsewhere:
                yield way


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
