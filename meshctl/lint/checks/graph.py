"""Questions about directed graphs, all linear in services and calls, and none recursive."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Graph = Mapping[str, Iterable[str]]
"""Every node, with those that it leads to."""


def components(graph: Graph) -> list[list[str]]:
    """Strongly connected components, those that are led to first (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    waiting: list[str] = []
    on_stack: set[str] = set()
    found: list[list[str]] = []
    for root in graph:
        if root in index:
            continue
        work = [(root, iter(graph[root]))]
        index[root] = low[root] = len(index)
        waiting.append(root)
        on_stack.add(root)
        while work:
            node, successors = work[-1]
            for each in successors:
                if each not in index:
                    index[each] = low[each] = len(index)
                    waiting.append(each)
                    on_stack.add(each)
                    work.append((each, iter(graph[each])))
                    break
                if each in on_stack:
                    low[node] = min(low[node], index[each])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    found.append(_popped(waiting, on_stack, node))
    return found


def _popped(waiting: list[str], on_stack: set[str], root: str) -> list[str]:
    component = [waiting.pop()]
    while component[-1] != root:
        component.append(waiting.pop())
    on_stack.difference_update(component)
    return component


def shortest_path(graph: Graph, start: str, end: str, within: set[str]) -> list[str]:
    """The nodes of a shortest path that stays ``within``; empty where there is none."""
    came_from = {start: start}
    front = [start]
    while front and end not in came_from:
        following: list[str] = []
        for node in front:
            for each in graph[node]:
                if each in within and each not in came_from:
                    came_from[each] = node
                    following.append(each)
        front = following
    if end not in came_from:
        return []
    path = [end]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return path[::-1]


def shortest_cycle(graph: Graph, start: str, within: set[str]) -> list[str]:
    """The nodes of a shortest way from ``start`` back to it that stays ``within``; empty where there is none."""
    came_from: dict[str, str] = {}
    front = [start]
    while front and start not in came_from:
        following: list[str] = []
        for node in front:
            for each in graph[node]:
                if each in within and each not in came_from:
                    came_from[each] = node
                    following.append(each)
        front = following
    if start not in came_from:
        return []
    path = [start, came_from[start]]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return path[::-1]


def cut_off(graph: Graph) -> dict[str, list[str]]:
    """Each articulation point of the undirected ``graph``, with a neighbour in each part it alone connects.

    The part that holds the first node of the graph in order is not named: it is "the rest".
    """
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    cut: dict[str, list[str]] = {}
    for root in graph:
        if root in order:
            continue
        order[root] = low[root] = len(order)
        work = [(root, "", iter(graph[root]))]
        while work:
            node, parent, neighbours = work[-1]
            for each in neighbours:
                if each not in order:
                    order[each] = low[each] = len(order)
                    work.append((each, node, iter(graph[each])))
                    break
                if each != parent:
                    low[node] = min(low[node], order[each])
            else:
                work.pop()
                if parent:
                    low[parent] = min(low[parent], low[node])
                    if low[node] >= order[parent]:
                        cut.setdefault(parent, []).append(node)
        # The root connects parts only when it has more than one child in the tree.
        if len(cut.get(root, [])) < 2:
            cut.pop(root, None)
    return cut
