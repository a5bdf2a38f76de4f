"""Which column a box stands in: callers left of callees, columns of about one height (Sugiyama et al. 1981)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Pair = tuple[int, int]

_ROUNDS = 200
"""Of looking for levels; what moves after them is less than a column."""


def forward(count: int, edges: Iterable[Pair]) -> list[Pair]:
    """Every edge once, turned round where it would close a circle, without loops; entries into the graph come first."""
    leads: list[list[int]] = [[] for _ in range(count)]
    comes = [0] * count
    for start, end in dict.fromkeys(edges):
        if start != end:
            leads[start].append(end)
            comes[end] += 1
    finished = _finished(
        leads, sorted(range(count), key=lambda each: (comes[each] > 0, -len(leads[each]), each))
    )
    position = {node: -nth for nth, node in enumerate(finished)}
    turned = (
        (start, end) if position[start] < position[end] else (end, start)
        for start in range(count)
        for end in leads[start]
    )
    return list(dict.fromkeys(turned))


def _finished(leads: Sequence[Sequence[int]], roots: Iterable[int]) -> list[int]:
    """Nodes in the order in which a search in depth leaves them: whoever is led to, before."""
    found: list[int] = []
    seen: set[int] = set()
    for root in roots:
        if root in seen:
            continue
        seen.add(root)
        work = [(root, iter(leads[root]))]
        while work:
            node, left = work[-1]
            following = next((each for each in left if each not in seen), None)
            if following is None:
                found.append(node)
                work.pop()
            else:
                seen.add(following)
                work.append((following, iter(leads[following])))
    return found


def layers(heights: Sequence[float], edges: Sequence[Pair], most: float) -> list[int]:
    """The column of each box, from ``edges`` without circles, no column much higher than ``most``.

    A box stands right of all that lead to it, and further right where a column is full; one that leads to more than lead to it
    moves right again, to those.
    """
    count = len(heights)
    before: list[list[int]] = [[] for _ in range(count)]
    after: list[list[int]] = [[] for _ in range(count)]
    for start, end in edges:
        before[end].append(start)
        after[start].append(end)
    order = _finished(after, range(count))[::-1]
    depth = [0] * count
    for node in reversed(order):
        depth[node] = max((depth[each] + 1 for each in after[node]), default=0)
    order = _in_turn(before, after, depth)
    found = [0] * count
    filled: dict[int, float] = {}
    for node in order:
        layer = max((found[each] + 1 for each in before[node]), default=0)
        while filled.get(layer, 0.0) and filled[layer] + heights[node] > most:
            layer += 1
        found[node] = layer
        filled[layer] = filled.get(layer, 0.0) + heights[node]
    _pull(found, filled, heights, before, after, order, most)
    used = {layer: nth for nth, layer in enumerate(sorted(set(found)))}
    return [used[each] for each in found]


def levels(heights: Sequence[float], edges: Sequence[Pair], most: float) -> list[int]:
    """The same for graphs of long chains and many circles, which would be as wide as they are deep.

    Each box has a level, such that callees are one above their callers as nearly as can be (least squares: the trophic
    levels of MacKay, Johnson and Sansom 2020); columns are filled in this order, and a line may stay within one.
    """
    near: list[list[tuple[int, float]]] = [[] for _ in heights]
    for start, end in dict.fromkeys(edges):
        if start != end:
            near[start].append((end, -1.0))
            near[end].append((start, 1.0))
    level = [0.0] * len(heights)
    for _ in range(_ROUNDS):
        for node, its in enumerate(near):
            level[node] = sum(level[each] + step for each, step in its) / max(1, len(its))
    found, layer, filled = [0] * len(heights), 0, 0.0
    for node in sorted(range(len(heights)), key=lambda each: (round(level[each], 3), each)):
        if filled and filled + heights[node] > most:
            layer, filled = layer + 1, 0.0
        found[node] = layer
        filled += heights[node]
    return found


def _in_turn(
    before: Sequence[Sequence[int]], after: Sequence[Sequence[int]], depth: Sequence[int]
) -> list[int]:
    """Whoever leads before those who are led to; among the free, those from whom the longest way goes."""
    import heapq

    open_ends = [len(each) for each in before]
    free = [(-depth[node], node) for node, left in enumerate(open_ends) if not left]
    heapq.heapify(free)
    found = []
    while free:
        _, node = heapq.heappop(free)
        found.append(node)
        for each in after[node]:
            open_ends[each] -= 1
            if not open_ends[each]:
                heapq.heappush(free, (-depth[each], each))
    return found


def _pull(
    found: list[int],
    filled: dict[int, float],
    heights: Sequence[float],
    before: Sequence[Sequence[int]],
    after: Sequence[Sequence[int]],
    order: Sequence[int],
    most: float,
) -> None:
    for node in reversed(order):
        if not after[node] or len(before[node]) >= len(after[node]):
            continue
        wanted = min(found[each] for each in after[node]) - 1
        while wanted > found[node] and filled.get(wanted, 0.0) + heights[node] > most:
            wanted -= 1
        if wanted > found[node]:
            filled[found[node]] -= heights[node]
            filled[wanted] = filled.get(wanted, 0.0) + heights[node]
            found[node] = wanted
