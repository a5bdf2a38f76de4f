"""In which order boxes stand in their columns, so that few lines cross: barycentres, swept to and fro."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

from meshctl.graph.layering import Pair

_SWEEPS = 12


def order(layer_of: Sequence[int], edges: Sequence[Pair]) -> list[list[int]]:
    """The boxes of each column from top to bottom, the best of some sweeps."""
    columns: list[list[int]] = [[] for _ in range(max(layer_of, default=-1) + 1)]
    for node, layer in enumerate(layer_of):
        columns[layer].append(node)
    left: list[list[int]] = [[] for _ in layer_of]
    right: list[list[int]] = [[] for _ in layer_of]
    for start, end in edges:
        right[start].append(end)
        left[end].append(start)
    best, fewest = [list(each) for each in columns], crossings(columns, right, layer_of)
    for sweep in range(_SWEEPS):
        backward = bool(sweep % 2)
        place = _places(columns)
        for column in reversed(columns) if backward else columns:
            neighbours = right if backward else left
            # Boxes without a neighbour on that side stay where they are.
            key = {each: _mean(neighbours[each], place, place[each]) for each in column}
            column.sort(key=lambda each: (key[each], place[each]))
            place.update(_places([column]))
        found = crossings(columns, right, layer_of)
        if found < fewest:
            best, fewest = [list(each) for each in columns], found
        if not fewest:
            break
    return best


def _places(columns: Sequence[Sequence[int]]) -> dict[int, float]:
    """Of every box its height in the column, from 0 to 1, so that columns of different length compare."""
    return {node: (nth + 0.5) / len(column) for column in columns for nth, node in enumerate(column)}


def _mean(nodes: Sequence[int], place: dict[int, float], otherwise: float) -> float:
    return sum(place[each] for each in nodes) / len(nodes) if nodes else otherwise


def crossings(
    columns: Sequence[Sequence[int]], right: Sequence[Sequence[int]], layer_of: Sequence[int]
) -> int:
    """How many pairs of lines from one column to another cross."""
    nth = {node: index for column in columns for index, node in enumerate(column)}
    count = 0
    for column in columns:
        seen: dict[int, list[int]] = {}
        for node in column:
            ends = sorted((layer_of[each], nth[each]) for each in right[node])
            for layer, end in ends:
                among = seen.setdefault(layer, [])
                count += len(among) - bisect_left(among, end + 1)
            for layer, end in ends:
                insort(seen[layer], end)
    return count
