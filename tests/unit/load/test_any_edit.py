"""Whatever is removed from whatever layout: another parser reads the rest, and every comment stays; or it is refused."""

from __future__ import annotations

import copy
import random
import re
from collections import Counter
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from meshctl.diagnostics import Remove
from meshctl.load import read_yaml
from meshctl.load.edits import EditRefusedError, apply, changes
from meshctl.spec import Source
from tests.layouts import COMMENT, Hand

NAMES = st.sampled_from(["a", "b", "routes", "x y", "ä", "#k", "-", "5s", "it's"])
NODES = st.recursive(
    st.one_of(NAMES, st.none()),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4), st.dictionaries(NAMES, inner, min_size=1, max_size=4)
    ),
    max_leaves=16,
)
Path = tuple[str | int, ...]


def paths(node: Any, before: Path = ()) -> list[Path]:
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    return [each for key in keys for each in ((*before, key), *paths(node[key], (*before, key)))]


def removed(node: Any, path: Path) -> Any:
    """``node`` without what is at ``path``, and without what that leaves empty."""
    left = copy.deepcopy(node)
    while path:
        holder = left
        for step in path[:-1]:
            holder = holder[step]
        del holder[path[-1]]
        if holder:
            break
        path = path[:-1]
    return left


@settings(max_examples=100, deadline=None, database=None, derandomize=True)
@given(st.dictionaries(NAMES, NODES, min_size=2, max_size=5), st.integers(0, 2**32))
def remove_something(counted: Counter[str], node: Any, seed: int) -> None:
    text = Hand(seed).write(node)
    document = read_yaml(text.encode(), "mesh.yaml")
    assert (document.node, document.findings) == (node, ())
    path = random.Random(seed).choice(paths(node))
    part = Source(document.positions, document.node).part(*path)
    assert part is not None
    try:
        found = changes(text, [Remove(part)])
    except EditRefusedError as error:
        counted[str(error)] += 1
        return
    counted["made"] += 1
    made = apply(text, found)
    nothing = {"~": None}
    read = yaml.load(made, yaml.BaseLoader)  # noqa: S506 - it knows nothing but text
    assert _without(read, nothing) == _without(removed(node, path), nothing)
    assert COMMENT.findall(made) == COMMENT.findall(text)
    assert [re.fullmatch(r"(\s*# c.*)*", each.text) for each in found] != [None]
    assert len(found) == 1


def _without(node: Any, nothing: dict[str, None]) -> Any:
    """For the other parser `~` is text."""
    if isinstance(node, dict):
        return {key: _without(value, nothing) for key, value in node.items()}
    return [_without(each, nothing) for each in node] if isinstance(node, list) else nothing.get(node, node)


def test_the_rest_stays():
    counted: Counter[str] = Counter()
    remove_something(counted)
    assert counted["made"] > 90, counted
