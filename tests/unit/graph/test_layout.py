"""Columns from callers to callees: nothing overlaps, nothing runs backward that need not, and always the same."""

from __future__ import annotations

import random
import time

import pytest

from meshctl.graph.layering import forward, layers, levels
from meshctl.graph.layout import Size, curve, layout
from meshctl.graph.ordering import crossings, order

BOX = Size(160, 46)


def drawn(boxes, calls, seed=1):
    draw = random.Random(seed)
    return [(draw.randrange(boxes), draw.randrange(boxes)) for _ in range(calls)]


GRAPHS = {
    "nothing": (0, []),
    "one": (1, []),
    "loop": (1, [(0, 0)]),
    "strangers": (7, []),
    "chain": (5, [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)]),
    "circle": (3, [(0, 1), (1, 2), (2, 0)]),
    "twice": (2, [(0, 1), (0, 1), (1, 0)]),
    "star": (60, [(0, each) for each in range(1, 60)]),
    "long chain": (80, [(each, each + 1) for each in range(79)]),
    "tangle": (120, drawn(120, 700)),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_boxes_stand_apart_inside_the_picture(name):
    boxes, edges = GRAPHS[name]
    found = layout([BOX] * boxes, edges)
    places = found.places
    assert len(places) == boxes
    assert [len(each) > 1 for each in found.lines] == [start != end for start, end in edges]
    for nth, (x, y) in enumerate(places):
        assert 0 <= x <= found.width - BOX.width
        assert 0 <= y <= found.height - BOX.height
        for other_x, other_y in places[nth + 1 :]:
            assert abs(x - other_x) >= BOX.width or abs(y - other_y) >= BOX.height


@pytest.mark.parametrize("name", GRAPHS)
def test_lines_begin_at_the_caller_and_end_at_the_callee(name):
    boxes, edges = GRAPHS[name]
    found = layout([BOX] * boxes, edges)
    for (start, end), line in zip(edges, found.lines, strict=True):
        if start == end:
            continue
        for box, (x, y) in ((start, line[0]), (end, line[-1])):
            left, top = found.places[box]
            assert x in (left, left + BOX.width)
            assert top <= y <= top + BOX.height


def test_callers_stand_left_of_callees_where_no_circle_is():
    edges = [(0, 1), (0, 2), (1, 3), (2, 3), (3, 4), (0, 4)]
    places = layout([BOX] * 5, edges).places
    assert all(places[start][0] < places[end][0] for start, end in edges)


def test_of_a_circle_one_line_runs_backward():
    places = layout([BOX] * 4, [(0, 1), (1, 2), (2, 3), (3, 1)]).places
    assert [x for x, _ in places] == sorted(x for x, _ in places)


def test_a_line_that_passes_a_column_passes_no_box():
    found = layout([BOX] * 3, [(0, 1), (1, 2), (0, 2)])
    _, top = found.places[1]
    (_, y), *_ = found.lines[2][1:]
    assert not top <= y <= top + BOX.height


def test_a_tangle_is_folded_to_what_a_screen_is_like():
    found = layout([BOX] * 500, drawn(500, 1500))
    assert 0.7 < found.width / found.height < 4


def test_500_boxes_take_less_than_two_seconds():
    begin = time.process_time()
    layout([BOX] * 500, drawn(500, 1500))
    assert time.process_time() - begin < 2


def test_columns_are_about_as_high_as_they_may_be():
    edges = forward(61, [(0, each) for each in range(1, 61)])
    columns = layers([60] * 61, edges, 600)
    assert max(columns.count(each) for each in columns) == 10
    assert columns[0] == 0


def test_levels_go_on_where_circles_are():
    columns = levels([60.0] * 6, [(0, 1), (1, 2), (2, 1), (2, 3), (3, 4), (4, 5)], 60)
    assert columns.index(0) == 0
    assert columns[5] == 5


def test_order_takes_crossings_away():
    layer_of = [0, 0, 0, 1, 1, 1]
    edges = [(0, 5), (1, 4), (2, 3)]
    right = [[5], [4], [3], [], [], []]
    assert crossings([[0, 1, 2], [3, 4, 5]], right, layer_of) == 3
    assert crossings(order(layer_of, edges), right, layer_of) == 0


def test_a_curve_is_level_at_its_points():
    assert curve([(0, 0), (100, 50)]) == "M0 0C50 0 50 50 100 50"
