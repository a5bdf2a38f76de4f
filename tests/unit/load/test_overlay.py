"""An environment merged over a spec: what comes of it, where each part was written, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshctl.load import limits, read_yaml
from meshctl.load.overlay import overlay
from meshctl.spec import Positions, Source


def merged(base, over):
    """The result, a cursor to it, and the findings as (slug, place, message)."""
    positions = Positions()
    nodes = [
        read_yaml(text.encode(), name, positions) for text, name in ((base, "base.yaml"), (over, "over.yaml"))
    ]
    assert not [each.findings for each in nodes if each.findings]
    data, findings = overlay(nodes[0].node, nodes[1].node or {}, positions)
    return data, Source(positions, data), [(each.slug, str(each.at), each.message) for each in findings]


@pytest.mark.parametrize(
    ("base", "over", "expected"),
    [
        # mappings by key, whatever the depth; the order of the spec, then what is new
        (
            "{a: 1, b: {c: 2, d: 3}}",
            "{b: {d: 4, e: 5}, f: 6}",
            {"a": "1", "b": {"c": "2", "d": "4", "e": "5"}, "f": "6"},
        ),
        ("{a: 1}", "{}", {"a": "1"}),
        ("{a: 1}", "# nothing", {"a": "1"}),
        ("{b: {c: 1}}", "{b: {}}", {"b": {"c": "1"}}),
        # what is of another kind takes the place of what was there
        ("{a: {b: 1}}", "{a: x}", {"a": "x"}),
        ("{a: x}", "{a: {b: 1}}", {"a": {"b": "1"}}),
        ("{a: {b: 1}}", "{a: [1]}", {"a": ["1"]}),
        ("{a: }", "{a: 1}", {"a": "1"}),
        # lists replace
        ("{a: [1, 2]}", "{a: [3]}", {"a": ["3"]}),
        ("{a: [1, 2]}", "{a: []}", {"a": []}),
        ("{a: [{x: 1}]}", "{a: [{x: 2}, {x: 3}]}", {"a": [{"x": "2"}, {"x": "3"}]}),
        # but for lists of what has a name: merged by it, in the order of the spec, then what is new
        (
            "{r: [{name: a, t: 1, m: [x]}, {name: b}]}",
            "{r: [{name: c, t: 3}, {name: a, t: 2}]}",
            {"r": [{"name": "a", "t": "2", "m": ["x"]}, {"name": "b"}, {"name": "c", "t": "3"}]},
        ),
        ("{r: [{name: a}]}", "{r: [{name: a, t: {u: 1}}]}", {"r": [{"name": "a", "t": {"u": "1"}}]}),
        ("{r: [{name: a, t: 1}]}", "{r: [{name: a, t: null}]}", {"r": [{"name": "a"}]}),
        ("{r: [{name: a}]}", "{r: []}", {"r": []}),
        ("{r: []}", "{r: [{name: a}]}", {"r": [{"name": "a"}]}),
        # one item without a name, and it is a list like any other
        ("{r: [{name: a, t: 1}]}", "{r: [{name: a}, {t: 2}]}", {"r": [{"name": "a"}, {"t": "2"}]}),
        ("{r: [{name: a}, x]}", "{r: [{name: b}]}", {"r": [{"name": "b"}]}),
        ("{r: [{name: [a]}]}", "{r: [{name: [a], t: 1}]}", {"r": [{"name": ["a"], "t": "1"}]}),
        # of two of one name in the spec the first one is meant
        (
            "{r: [{name: a, t: 1}, {name: a}]}",
            "{r: [{name: a, t: 2}]}",
            {"r": [{"name": "a", "t": "2"}, {"name": "a"}]},
        ),
        # null deletes
        ("{a: 1, b: {c: 2, d: 3}}", "{a: null, b: {c: ~, d: }}", {"b": {}}),
        ("{a: }", "{a: }", {}),
        ("{services: {web: {x: 1}, api: {}}}", "{services: {web: null}}", {"services": {"api": {}}}),
        # a null in quotes is text, and one in a list is no key
        ("{a: 1}", '{a: "null"}', {"a": "null"}),
        ("{a: [1]}", "{a: [null]}", {"a": [None]}),
        # nulls of the spec itself stay, to be refused later
        ("{a: , b: 1}", "{b: 2}", {"a": None, "b": "2"}),
    ],
)
def test_merging(base, over, expected):
    data, _, findings = merged(base, over)
    assert data == expected
    assert list(data) == list(expected)
    assert findings == []


BASE = """\
mesh: {name: shop}
services:
  web:
    port: 80
    routes:
      - {name: a, timeout: 1s}
      - {name: b}
    list: [1, 2]
"""
OVER = """\
services:

  web:
    port: 81
    routes:
      - name: a
        timeout: 2s
      - {name: c, timeout: 3s}
    list: [3]
  api: {port: 1}
lint: {}
"""


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (["mesh", "name"], "base.yaml:1:8"),
        (["services"], "base.yaml:2:1"),
        (["services", "web"], "base.yaml:3:3"),
        (["services", "web", "port"], "over.yaml:4:5"),
        (["services", "web", "routes"], "base.yaml:5:5"),
        (["services", "web", "routes", 0], "base.yaml:6:9"),
        (["services", "web", "routes", 0, "name"], "over.yaml:6:9"),
        (["services", "web", "routes", 0, "timeout"], "over.yaml:7:9"),
        (["services", "web", "routes", 1, "name"], "base.yaml:7:10"),
        (["services", "web", "routes", 2], "over.yaml:8:9"),
        (["services", "web", "routes", 2, "timeout"], "over.yaml:8:19"),
        (["services", "web", "list"], "over.yaml:9:5"),
        (["services", "web", "list", 0], "over.yaml:9:12"),
        (["services", "api"], "over.yaml:10:3"),
        (["services", "api", "port"], "over.yaml:10:9"),
        (["lint"], "over.yaml:11:1"),
        # What is not there is at the last part that is.
        (["services", "api", "timeout", "x"], "over.yaml:10:3"),
        (["services", "web", "timeout"], "base.yaml:3:3"),
    ],
)
def test_each_part_is_where_it_was_written(path, place):
    _, cursor, _ = merged(BASE, OVER)
    assert str(cursor.at(*path)) == place


def test_what_both_wrote_is_in_two_places():
    _, cursor, _ = merged(BASE, OVER)
    assert [str(each) for each in cursor.places("services")] == ["base.yaml:2:1", "over.yaml:1:1"]
    assert [str(each) for each in cursor["services"].places("web")] == ["base.yaml:3:3", "over.yaml:3:3"]
    assert [str(each) for each in cursor["services"]["web"].places("port")] == ["over.yaml:4:5"]
    assert [str(each) for each in cursor["services"]["web"]["routes"].places(0)] == [
        "base.yaml:6:9",
        "over.yaml:6:9",
    ]
    assert str(cursor["services"]["web"].value_at("port")) == "over.yaml:4:11"
    assert str(cursor.value_at("services")) == "base.yaml:3:3"


@pytest.mark.parametrize(
    ("base", "over", "expected"),
    [
        ("{a: 1}", "{b: null}", [("nothing-to-delete", "over.yaml:1:2")]),
        ("{a: {b: 1}}", "{a: {c: }}", [("nothing-to-delete", "over.yaml:1:6")]),
        ("{a: 1}", "{b: {c: null, d: 2}}", [("nothing-to-delete", "over.yaml:1:6")]),
        ("{r: [{name: a}]}", "{r: [{name: b, t: null}]}", [("nothing-to-delete", "over.yaml:1:16")]),
        ("{r: [{name: a}]}", "{r: [{name: a, t: null}]}", [("nothing-to-delete", "over.yaml:1:16")]),
        ("{r: [{name: a}]}", "{r: [{name: a}, {name: a}]}", [("duplicate-definition", "over.yaml:1:17")]),
    ],
)
def test_what_is_refused(base, over, expected):
    data, _, findings = merged(base, over)
    assert [(slug, at) for slug, at, _ in findings] == expected
    assert "null" not in str(data)
    assert None not in data.values()


def test_a_container_begins_where_the_first_of_its_writers_began_it():
    _, cursor, _ = merged(BASE, OVER)
    begins = cursor.positions.container
    assert str(begins(cursor.node)) == "base.yaml:1:1"
    assert str(begins(cursor["services"]["web"].node)) == "base.yaml:4:5"
    assert str(begins(cursor["services"]["api"].node)) == "over.yaml:10:8"


def test_a_misspelt_deletion_names_what_could_be_meant():
    positions = Positions()
    base, over = (
        read_yaml(text, "f.yaml", positions).node for text in (b"{timeout: 1s, port: 1}", b"{timeuot: }")
    )
    _, (fault,) = overlay(base, over, positions)
    assert fault.fix == "Did you mean `timeout`?"


def test_neither_side_is_changed():
    positions = Positions()
    sides = [read_yaml(text.encode(), "f.yaml", positions).node for text in (BASE, OVER)]
    before = repr(sides)
    overlay(sides[0], sides[1], positions)
    assert repr(sides) == before


def test_what_an_anchor_repeats_is_changed_in_one_place():
    data, _, _ = merged("{a: &x {t: 1}, b: *x}", "{b: {t: 2}}")
    assert data == {"a": {"t": "1"}, "b": {"t": "2"}}


def test_faults_are_told_up_to_a_number():
    _, _, findings = merged("{a: 1}", "\n".join(f"k{n}:" for n in range(1000)))
    assert len(findings) == limits.FAULTS


KEYS = st.sampled_from("abc")
TREES = st.recursive(
    st.sampled_from(["1", "2", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(KEYS, inner, max_size=3)
        | st.lists(
            st.dictionaries(KEYS, inner, max_size=2).flatmap(
                lambda rest: st.sampled_from("pq").map(lambda name: {"name": name, **rest})
            ),
            max_size=3,
            unique_by=lambda item: item["name"],
        )
    ),
    max_leaves=12,
)
SIDES = st.dictionaries(KEYS, TREES, max_size=3)


def written(node):
    """The same in YAML's flow style, as read_yaml reads it."""
    if isinstance(node, dict):
        return "{" + ", ".join(f"{key}: {written(value)}" for key, value in node.items()) + "}"
    return "[" + ", ".join(map(written, node)) + "]" if isinstance(node, list) else node


def places(source):
    """The place of every part below ``source``."""
    node = source.node
    keys = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in keys:
        yield source.positions.key(node, key)
        yield source.positions.value(node, key)
        yield from places(source[key])


@settings(max_examples=300, deadline=None)
@given(SIDES, SIDES)
def test_laws(base, over):
    data, cursor, findings = merged(written(base), written(over))
    assert findings == []
    assert merged(written(data), written(over))[0] == data, "twice is as once"
    assert merged(written(base), "{}")[0] == base
    assert merged("{}", written(over))[0] == over
    assert all(place is not None for place in places(cursor))
    assert data.keys() == base.keys() | over.keys()
