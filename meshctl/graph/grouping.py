"""Nodes put together: by owner, by zone, by proxy, or by what a label of theirs says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from meshctl.diagnostics import UsageError
from meshctl.graph.model import Graph, Kind, Node
from meshctl.suggestions import meant

MOST_SERVICES = 60
"""More are put into groups where nobody says otherwise."""
_MOST_GROUPS = 80


@dataclass(frozen=True, slots=True)
class Grouping:
    """``groups``: names, and the numbers of the nodes in each. ``key`` is `owner`, `zone`, `proxy` or a label's."""

    key: str
    groups: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def group_of(self) -> dict[int, int]:
        """The number of each node's group."""
        return {node: nth for nth, (_, members) in enumerate(self.groups) for node in members}


def groupings(graph: Graph) -> tuple[Grouping, ...]:
    """Those that put anything together and leave something to see."""
    labels = sorted({key for each in graph.nodes for key in each.about.labels})
    found = (
        by(graph, key) for key in ("owner", *(each for each in labels if each not in _OWN), "zone", "proxy")
    )
    return tuple(
        each
        for each in found
        if 2 <= len(each.groups) <= _MOST_GROUPS and len(each.groups) < len(graph.nodes)
    )


def chosen(graph: Graph, key: str | None) -> Grouping | None:
    """The grouping of that key; without one, the first that suits a graph too large to be shown service by service.

    Raises UsageError for a ``key`` that no node has.
    """
    if key is not None:
        known = [*_OWN, *sorted({name for each in graph.nodes for name in each.about.labels})]
        if key not in known:
            raise UsageError(f"no service has a label `{key}` to group by{meant(key, known)}")
        return by(graph, key)
    if len(graph.nodes) <= MOST_SERVICES:
        return None
    fitting = (each for each in groupings(graph) if len(each.groups) >= 3)
    return next(fitting, None)


def by(graph: Graph, key: str) -> Grouping:
    """Groups sorted by name, those of nodes that say nothing last."""
    value = _OWN.get(key) or (lambda node: node.about.labels.get(key, ""))
    members: dict[tuple[bool, str], list[int]] = {}
    for nth, node in enumerate(graph.nodes):
        said = value(node)
        name = said or ("outside" if node.kind is Kind.EXTERNAL else f"no {key}")
        members.setdefault((not said, name), []).append(nth)
    return Grouping(key, tuple((name, tuple(members[_, name])) for _, name in sorted(members)))


def _zones(node: Node) -> str:
    return " + ".join(each for each in node.about.zones if each)


_OWN: dict[str, Callable[[Node], str]] = {
    "owner": lambda node: node.about.owner,
    "zone": _zones,
    "proxy": lambda node: node.proxy,
}


def between(grouping: Grouping, graph: Graph) -> dict[tuple[int, int], tuple[int, ...]]:
    """By pairs of different groups, the numbers of the edges that lead from one to the other."""
    number = {each.name: nth for nth, each in enumerate(graph.nodes)}
    group_of = grouping.group_of
    found: dict[tuple[int, int], list[int]] = {}
    for nth, each in enumerate(graph.edges):
        pair = group_of[number[each.caller]], group_of[number[each.callee]]
        if pair[0] != pair[1]:
            found.setdefault(pair, []).append(nth)
    return {pair: tuple(found[pair]) for pair in sorted(found)}


def pairs(graph: Graph) -> list[tuple[int, int]]:
    """The edges by the numbers of their nodes."""
    number = {each.name: nth for nth, each in enumerate(graph.nodes)}
    return [(number[each.caller], number[each.callee]) for each in graph.edges]
