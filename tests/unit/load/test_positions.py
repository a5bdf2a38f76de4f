"""Where each part was written, asked through the cursor."""

import pytest

from meshctl.diagnostics import Position
from meshctl.load import read_yaml
from meshctl.spec import Positions, Source

TEXT = """\
services:
  web: {port: 8080, calls: {\u00e9\U0001f980: {timeout: 2s}}}
  api:
    endpoints:
      - address: 10.0.0.1
      -   zone: eu-1a
      - *nothing
    port:
      8080
    owner:
"""


def cursor(text):
    document = read_yaml(text.encode(), "f.yaml")
    return Source(document.positions, document.node)


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        (("services",), 1, 1),
        (("services", "web"), 2, 3),
        (("services", "web", "port"), 2, 9),
        (("services", "web", "calls"), 2, 21),
        (("services", "web", "calls", "\u00e9\U0001f980"), 2, 29),
        (("services", "web", "calls", "\u00e9\U0001f980", "timeout"), 2, 34),
        (("services", "api", "endpoints"), 4, 5),
        (("services", "api", "endpoints", 0), 5, 9),
        (("services", "api", "endpoints", 0, "address"), 5, 9),
        (("services", "api", "endpoints", 1), 6, 11),
        (("services", "api", "endpoints", 2), 7, 9),
        # What is not there is at the last part that is.
        (("services", "api", "endpoints", 9), 4, 5),
        (("services", "api", "retries", "attempts"), 3, 3),
        (("services", "api", "owner", "x"), 10, 5),
    ],
)
def test_a_key_or_item_has_its_place(path, line, column):
    assert cursor(TEXT).at(*path) == Position("f.yaml", line, column)


def test_a_value_has_its_place():
    services = cursor(TEXT)["services"]
    assert services["web"].value_at("port") == Position("f.yaml", 2, 15)
    assert services["api"].value_at("port") == Position("f.yaml", 9, 7)
    assert services["api"]["endpoints"].value_at(0) == Position("f.yaml", 5, 9)


def test_a_container_has_its_place():
    document = read_yaml(TEXT.encode(), "f.yaml")
    positions = document.positions
    services = document.node["services"]
    assert positions.container(document.node) == Position("f.yaml", 1, 1)
    assert positions.container(services) == Position("f.yaml", 2, 3)
    assert positions.container(services["web"]) == Position("f.yaml", 2, 8)
    assert positions.container(services["api"]["endpoints"]) == Position("f.yaml", 5, 7)


def test_line_ends_of_two_characters_count_as_one_end():
    lines = cursor("a: 1\r\n\u00e9:\r\n  b: 2\r\n")
    assert lines.at("\u00e9", "b") == Position("f.yaml", 3, 3)


def test_a_wide_mapping_finds_all_its_keys():
    text = "".join(f"k{n}: {n}\n" for n in range(100))
    wide = cursor(text)
    assert [wide.at(f"k{n}").line for n in range(100)] == list(range(1, 101))
    assert wide.value_at("k42") == Position("f.yaml", 43, 6)
    assert wide.at("nothing") is None


def test_files_are_told_apart():
    positions = Positions()
    first = read_yaml(b"a: {b: 1}", "first.yaml", positions).node
    read_yaml(b"# empty", "empty.yaml", positions)
    second = read_yaml(b"\n a: {b: 1}", "second.yaml", positions).node
    assert positions.key(first["a"], "b") == Position("first.yaml", 1, 5)
    assert positions.key(second["a"], "b") == Position("second.yaml", 2, 6)


def test_of_a_container_that_was_not_read_nothing_is_known():
    assert Positions().key({"a": 1}, "a") is None
    assert Positions().value([1], 0) is None
    assert Positions().container({}) is None


def test_a_container_made_later_has_the_places_of_what_it_was_made_from():
    positions = Positions()
    first = read_yaml(b"a: 1\nb: 2", "first.yaml", positions).node
    second = read_yaml(b"\n b: 3\n c: 4", "second.yaml", positions).node
    made = {"a": "1", "b": "2", "d": "5"}
    positions.derive(made, first, {"a": (first, "a"), "b": (first, "b")}, {"b": (second, "b")})
    again = dict(made)
    positions.derive(again, made, {key: (made, key) for key in made})
    for each in (made, again):
        assert positions.container(each) == Position("first.yaml", 1, 1)
        assert positions.value(each, "a") == Position("first.yaml", 1, 4)
        assert positions.key(each, "d") is None
        assert list(positions.keys(each, "a")) == [Position("first.yaml", 1, 1)]
        assert list(positions.keys(each, "b")) == [
            Position("first.yaml", 2, 1),
            Position("second.yaml", 2, 2),
        ]
        assert list(positions.keys(each, "d")) == []


def test_what_was_made_has_no_places_of_what_was_given_up_before():
    document = read_yaml(b"a: {b: 1}\n", "f.yaml")
    positions, read = document.positions, document.node
    made = {"c": read["a"]}
    positions.remember(made, [9999, 9999, 9999])
    positions.derive(made, read, {"c": (read, "a")})
    assert positions.key(made, "c") == positions.container(made) == Position("f.yaml", 1, 1)
