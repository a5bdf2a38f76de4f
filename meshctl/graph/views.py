"""The pictures of one graph: every service in columns, and groups of them, open and closed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

from meshctl.graph.grouping import Grouping, between, pairs
from meshctl.graph.layout import GAP_X, Point, Size, layout
from meshctl.graph.model import Graph

_LETTER = 7.6
"""Width of a letter of a name, in pixels; browsers differ, so a little more than it is."""
_NARROWEST, _WIDEST, _HEIGHT = 164.0, 250.0, 46.0
_BESIDE = 62.0
"""Of a box beside its name: the stripe, the mark of findings, and air."""
_CHIP_LETTER, _CHIP_BESIDE, _CHIP_WIDEST, _CHIP_HEIGHT, _CHIP_GAP = 6.4, 34.0, 190.0, 24.0, 6.0
_HEADER, _PADDING = 34.0, 12.0
_GROUP_GAP = 120.0
_CLOSED = 62.0


@dataclass(frozen=True, slots=True)
class Box:
    """A node's or a group's place, by its number; the upper left corner and the size in pixels."""

    number: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Line:
    """From one box to another. ``edges`` are the numbers of the calls that it stands for."""

    edges: tuple[int, ...]
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class View:
    """One picture. Without a grouping, lines go between ``nodes``; with one, between ``groups``, and nodes stand inside."""

    width: float
    height: float
    nodes: tuple[Box, ...]
    lines: tuple[Line, ...]
    grouping: Grouping | None = None
    groups: tuple[Box, ...] = ()


def services(graph: Graph) -> View:
    """Every node a box, every edge a line."""
    longest = max((len(each.name) for each in graph.nodes), default=0)
    width = round(min(_WIDEST, max(_NARROWEST, _BESIDE + _LETTER * longest)))
    labels = max((len(label(graph, nth)) for nth in range(len(graph.edges))), default=0)
    size = Size(width, _HEIGHT)
    found = layout([size] * len(graph.nodes), pairs(graph), GAP_X + min(170.0, labels * 6.6))
    nodes = tuple(Box(nth, x, y, width, _HEIGHT) for nth, (x, y) in enumerate(found.places))
    lines = tuple(Line((nth,), points) for nth, points in enumerate(found.lines) if points)
    return View(found.width, found.height, nodes, lines)


def label(graph: Graph, number: int) -> str:
    """What stands at a line: the shares of a split, and that only copies go there, or nothing."""
    from meshctl.graph.words import joined, percent

    edge = graph.edges[number]
    shares = (f"{part} {percent(share)}".strip() for part, share in edge.split)
    return joined((*shares, "copy" if edge.copy else "", "no requests" if edge.idle else ""))


def grouped(graph: Graph, grouping: Grouping, *, closed: bool = False) -> View:
    """Every group a box, with its nodes inside unless ``closed``; a line for all calls from one group to another."""
    inside = [_inside(graph, members, len(name)) for name, members in grouping.groups]
    if closed:
        longest = max(len(name) for name, _ in grouping.groups)
        sizes = [Size(round(min(_WIDEST, max(150.0, 86 + 8.6 * longest))), _CLOSED)] * len(inside)
    else:
        sizes = [size for size, _ in inside]
    linked = between(grouping, graph)
    found = layout(sizes, list(linked), _GROUP_GAP)
    groups = tuple(
        Box(nth, x, y, size.width, size.height)
        for nth, ((x, y), size) in enumerate(zip(found.places, sizes, strict=True))
    )
    nodes = (
        ()
        if closed
        else tuple(
            Box(node, group.x + x, group.y + y, width, _CHIP_HEIGHT)
            for group, (_, members), (_, chips) in zip(groups, grouping.groups, inside, strict=True)
            for node, (x, y, width) in zip(members, chips, strict=True)
        )
    )
    lines = tuple(Line(edges, points) for edges, points in zip(linked.values(), found.lines, strict=True))
    return View(found.width, found.height, nodes, lines, grouping, groups)


def _inside(
    graph: Graph, members: Sequence[int], title: int
) -> tuple[Size, list[tuple[float, float, float]]]:
    """The size of a group's box, and where its nodes stand in it: in rows, about as wide as high."""
    longest = max(len(graph.nodes[each].name) for each in members)
    width = float(round(min(_CHIP_WIDEST, _CHIP_BESIDE + _CHIP_LETTER * longest)))
    pitch_x, pitch_y = width + _CHIP_GAP, _CHIP_HEIGHT + _CHIP_GAP
    across = max(1, ceil(sqrt(len(members) * pitch_y * 1.2 / pitch_x)))
    down = ceil(len(members) / across)
    chips = [
        (_PADDING + nth // down * pitch_x, _HEADER + nth % down * pitch_y, width)
        for nth in range(len(members))
    ]
    size = Size(
        max(
            _PADDING * 2 + ceil(len(members) / down) * pitch_x - _CHIP_GAP,
            round(90 + _LETTER * min(title, 30)),
        ),
        _HEADER + down * pitch_y - _CHIP_GAP + _PADDING,
    )
    return size, chips
