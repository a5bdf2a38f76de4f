"""Where boxes stand and how lines run between them: columns from callers to callees. The same graph, the same places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

from meshctl.graph.layering import Pair, forward, layers, levels
from meshctl.graph.ordering import order

GAP_X, GAP_Y = 96.0, 20.0
_ASPECT = 2.0
"""Of the picture: a little wider than most screens, for a panel stands beside it."""
_MOST_BENDS = 0.5
"""The places at which long lines bend may take up so much of the room of the boxes: with more, lines run straight, behind them."""
_FEW_BENDS = 40
_BEND = 12.0
_DEEPEST, _SHALLOW = 1.35, 7
"""A picture may be so many times as wide as it should be, or have so many columns, before chains are folded."""
_SWEEPS = 16

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Size:
    """Of a box, in pixels."""

    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Layout:
    """``places``: upper left corners. ``lines``: of each edge, as given, the points from its caller to its callee; none of a loop."""

    width: float
    height: float
    places: tuple[Point, ...]
    lines: tuple[tuple[Point, ...], ...]


def layout(sizes: Sequence[Size], edges: Sequence[Pair], gap: float = GAP_X) -> Layout:
    """Boxes of these sizes, and lines between them by their numbers. Boxes without a line stand below the others."""
    linked = sorted({end for edge in edges if edge[0] != edge[1] for end in edge})
    number = {each: nth for nth, each in enumerate(linked)}
    area = sum((each.width + gap) * (each.height + GAP_Y) for each in sizes)
    most = sqrt(area / _ASPECT)
    drawn = _columns([sizes[each] for each in linked], _numbered(edges, number), most, gap)
    alone = [each for each in range(len(sizes)) if each not in number]
    places: dict[int, Point] = {each: drawn.places[number[each]] for each in linked}
    width, height = drawn.width, drawn.height
    x, y, row = 0.0, height + (GAP_Y * 2 if linked else 0.0), 0.0
    widest = max(width, sqrt(area * _ASPECT))
    for each in alone:
        size = sizes[each]
        if x and x + size.width > widest:
            x, y, row = 0.0, y + row + GAP_Y, 0.0
        places[each] = (x, y)
        width, height, row = max(width, x + size.width), max(height, y + size.height), max(row, size.height)
        x += size.width + GAP_Y
    lines = iter(drawn.lines)
    return Layout(
        width,
        height,
        tuple(places[each] for each in range(len(sizes))),
        tuple(next(lines) if start != end else () for start, end in edges),
    )


def _numbered(edges: Sequence[Pair], number: dict[int, int]) -> list[Pair]:
    return [(number[start], number[end]) for start, end in edges if start != end]


@dataclass(slots=True)
class _Bent:
    """The graph with a box of no width wherever a line passes a column, and of each line the boxes on its way."""

    heights: list[float]
    layer_of: list[int]
    edges: list[Pair]
    ways: dict[Pair, list[int]]


def _columns(sizes: Sequence[Size], edges: Sequence[Pair], most: float, gap: float) -> Layout:
    if not sizes:
        return Layout(0.0, 0.0, (), ())
    heights = [each.height + GAP_Y for each in sizes]
    layer_of = layers(heights, forward(len(sizes), edges), most)
    pitch = sum(each.width for each in sizes) / len(sizes) + gap
    if max(layer_of) >= max(_SHALLOW, _DEEPEST * _ASPECT * most / pitch):
        layer_of = levels(heights, edges, most)
    bent = _bend(heights, layer_of, edges)
    columns = order(bent.layer_of, bent.edges)
    centres = _centres(bent, columns, len(sizes))
    widths = [
        max((sizes[each].width for each in column if each < len(sizes)), default=0.0) for column in columns
    ]
    lefts = [sum(widths[:nth]) + gap * nth for nth in range(len(columns))]
    places = [
        (lefts[layer_of[each]] + (widths[layer_of[each]] - size.width) / 2, centres[each] - size.height / 2)
        for each, size in enumerate(sizes)
    ]
    top = min(y for _, y in places)
    top = min([top, *(centres[each] for each in range(len(sizes), len(centres)))])
    places = [(round(x), round(y - top)) for x, y in places]
    passes = [
        ((lefts[layer], centres[node] - top), (lefts[layer] + widths[layer], centres[node] - top))
        for node, layer in enumerate(bent.layer_of)
    ]
    lines = tuple(
        _aside(edge, places, sizes)
        if layer_of[edge[0]] == layer_of[edge[1]]
        else _line(edge, bent.ways, places, sizes, passes)
        for edge in edges
    )
    bottom = max(y + size.height for (_, y), size in zip(places, sizes, strict=True))
    bottom = max([bottom, *(y for line in lines for _, y in line)])
    return Layout(lefts[-1] + widths[-1], bottom, tuple(places), lines)


def _bend(heights: Sequence[float], layer_of: Sequence[int], edges: Sequence[Pair]) -> _Bent:
    bent = _Bent(list(heights), list(layer_of), [], {})
    pairs = list(dict.fromkeys((b, a) if layer_of[a] > layer_of[b] else (a, b) for a, b in edges))
    passes = sum(max(0, layer_of[end] - layer_of[start] - 1) for start, end in pairs)
    bends = passes <= _FEW_BENDS or passes * _BEND <= _MOST_BENDS * sum(heights)
    for start, end in pairs:
        way = [start]
        for layer in range(layer_of[start] + 1, layer_of[end]) if bends else ():
            bent.heights.append(_BEND)
            bent.layer_of.append(layer)
            way.append(len(bent.heights) - 1)
        way.append(end)
        if layer_of[start] != layer_of[end]:
            bent.edges += pairwise(way)
        bent.ways[start, end] = way
    return bent


def _centres(bent: _Bent, columns: Sequence[Sequence[int]], boxes: int) -> list[float]:
    """Heights of the middles: as near to their neighbours as the order and the sizes leave room."""
    near: list[tuple[list[int], list[int]]] = [([], []) for _ in bent.heights]
    for start, end in bent.edges:
        near[start][1].append(end)
        near[end][0].append(start)
    found = [0.0] * len(bent.heights)
    for column in columns:
        y = -sum(bent.heights[each] for each in column) / 2
        for each in column:
            found[each] = y + bent.heights[each] / 2
            y += bent.heights[each]
    for sweep in range(_SWEEPS):
        last = sweep >= _SWEEPS - 2
        for column in columns if sweep % 2 == 0 else reversed(columns):
            wanted = []
            for each in column:
                side = near[each][sweep % 2]
                sides = [*near[each][0], *near[each][1]] if last or not side else side
                wanted.append(sum(found[it] for it in sides) / len(sides) if sides else found[each])
            # Bends pull harder: a long line that is straight is easier to follow than a box in the middle of its callers.
            weights = [1.0 if each < boxes else 4.0 for each in column]
            for each, y in zip(
                column, _apart(wanted, weights, [bent.heights[it] for it in column]), strict=True
            ):
                found[each] = y
    return found


def _apart(wanted: Sequence[float], weights: Sequence[float], heights: Sequence[float]) -> list[float]:
    """The places nearest to ``wanted`` (least squares) at which nothing overlaps, in this order: pooled violators."""
    offsets, y = [], 0.0
    for nth, height in enumerate(heights):
        y += (heights[nth - 1] + height) / 2 if nth else 0.0
        offsets.append(y)
    blocks: list[tuple[float, float, int]] = []
    for want, weight, offset in zip(wanted, weights, offsets, strict=True):
        mean, total, count = want - offset, weight, 1
        while blocks and blocks[-1][0] > mean:
            before, its, many = blocks.pop()
            mean, total, count = (before * its + mean * total) / (its + total), its + total, many + count
        blocks.append((mean, total, count))
    means = [mean for mean, _, count in blocks for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


def _line(
    edge: Pair,
    ways: dict[Pair, list[int]],
    places: Sequence[Point],
    sizes: Sequence[Size],
    passes: Sequence[tuple[Point, Point]],
) -> tuple[Point, ...]:
    """From the right side of the box on the left to the left side of the other, and backward for a line that was turned."""
    way = ways[edge] if edge in ways else ways[edge[1], edge[0]]
    first, last = way[0], way[-1]
    start = (places[first][0] + sizes[first].width, places[first][1] + sizes[first].height / 2)
    end = (places[last][0], places[last][1] + sizes[last].height / 2)
    points = [start, *(point for each in way[1:-1] for point in passes[each]), end]
    if edge not in ways or ways[edge][0] != edge[0]:
        points.reverse()
    return tuple((round(x), round(y)) for x, y in points)


def _aside(edge: Pair, places: Sequence[Point], sizes: Sequence[Size]) -> tuple[Point, ...]:
    """Within a column: out of the right side, and in there again."""
    start, end = (
        (places[each][0] + sizes[each].width, places[each][1] + sizes[each].height / 2) for each in edge
    )
    out = max(start[0], end[0]) + GAP_X / 4
    middle = (out, (start[1] + end[1]) / 2)
    return tuple((round(x), round(y)) for x, y in (start, middle, end))


def curve(points: Sequence[Point]) -> str:
    """A line through ``points`` as SVG has it, level at each of them, and straight where it passes a column; one that comes back from the side it went to is one bow."""
    (x, y), *rest = points
    if len(rest) == 2 and rest[0][0] > max(x, rest[1][0]):
        (out, _), (to_x, to_y) = rest
        return f"M{x:g} {y:g}C{out:g} {y:g} {out:g} {to_y:g} {to_x:g} {to_y:g}"
    parts = [f"M{x:g} {y:g}"]
    for to_x, to_y in rest:
        middle = round((x + to_x) / 2)
        parts.append(f"C{middle} {y:g} {middle} {to_y:g} {to_x:g} {to_y:g}")
        x, y = to_x, to_y
    return "".join(parts)


def nearly_at_the_end(points: Sequence[Point], share: float = 0.6) -> Point:
    """A place on the last part of :func:`curve`, where a label stands clear of the lines of others."""
    (x, y), (to_x, to_y) = points[-2:]
    t, u = share, 1 - share
    middle = (x + to_x) / 2
    across = u**3 * x + 3 * u * t * middle + t**3 * to_x
    down = u**3 * y + 3 * u * u * t * y + 3 * u * t * t * to_y + t**3 * to_y
    return round(across), round(down)
