"""Edits of a file's text change what they say and not a character more; what cannot be done so is refused."""

from __future__ import annotations

import pytest

from meshctl.diagnostics import Edit, Part, Position, Remove, Rename
from meshctl.load import read_yaml
from meshctl.load.edits import EditRefusedError, apply, changes
from meshctl.spec import Source

Path = tuple[str | int, ...]


def part(text: str, path: Path) -> Part:
    document = read_yaml(text.encode(), "mesh.yaml")
    assert document.findings == ()
    found = Source(document.positions, document.node).part(*path)
    assert found is not None
    return found


def without(text: str, *paths: Path) -> str:
    return edited(text, *(Remove(part(text, path)) for path in paths))


def edited(text: str, *edits: Edit) -> str:
    return apply(text, changes(text, edits))


REMOVED: list[tuple[str, str, list[Path], str]] = [
    ("a line", "a: 1\nb: 2\n", [("a",)], "b: 2\n"),
    ("blank lines stay", "a: 1\n\nb: 2\n\nc: 3\n", [("b",)], "a: 1\n\n\nc: 3\n"),
    ("a comment behind it stays", "s:\n  a: 1   # why\n  b: 2\n", [("s", "a")], "s:\n  # why\n  b: 2\n"),
    ("a comment above it stays", "# why\na: 1\nb: 2\n", [("a",)], "# why\nb: 2\n"),
    (
        "comments inside of it stay",
        "s:\n  a:\n    # one\n    x: 1 # two\n\n    y: 2\n  b: 1\n",
        [("s", "a")],
        "s:\n  # one\n  # two\n  b: 1\n",
    ),
    ("the last line", "a: 1\nb: 2\n", [("b",)], "a: 1\n"),
    ("a last line that nothing ends", "a: 1\nb: 2", [("b",)], "a: 1"),
    ("the same with a comment", "a: 1\nb: 2 # x", [("b",)], "a: 1\n# x"),
    ("CRLF", "a: 1\r\nb: 2 # x\r\nc: 3\r\n", [("b",)], "a: 1\r\n# x\r\nc: 3\r\n"),
    ("CRLF at the end", "a: 1\r\nb: 2", [("b",)], "a: 1"),
    ("an item", "l:\n  - a\n  - b\n", [("l", 0)], "l:\n  - b\n"),
    ("an item that is a mapping", "l:\n  - x: 1\n    y: 2\n  - z: 3\n", [("l", 0)], "l:\n  - z: 3\n"),
    ("items without indentation", "l:\n- a\n- b\nm: 1\n", [("l", 1)], "l:\n- a\nm: 1\n"),
    ("the first key behind a dash", "l:\n  - x: 1\n    y: 2\n", [("l", 0, "x")], "l:\n  - y: 2\n"),
    ("two of them", "l:\n  - x: 1\n    y: 2\n    z: 3\n", [("l", 0, "x"), ("l", 0, "y")], "l:\n  - z: 3\n"),
    ("the second key there", "l:\n  - x: 1\n    y: 2\n", [("l", 0, "y")], "l:\n  - x: 1\n"),
    ("what it leaves empty", "s:\n  a:\n    x: 1\n  b: 2\n", [("s", "a", "x")], "s:\n  b: 2\n"),
    ("all of a list", "s:\n  l: [1, 2]\n  b: 2\n", [("s", "l", 0), ("s", "l", 1)], "s:\n  b: 2\n"),
    ("a key and what is in it", "s: {a: {x: 1}, b: 2}\n", [("s", "a"), ("s", "a", "x")], "s: {b: 2}\n"),
    ("flow, first", "s: {a: 1,  b: 2}  # x\n", [("s", "a")], "s: {b: 2}  # x\n"),
    ("flow, between", "s: [a, b , c]\n", [("s", 1)], "s: [a, c]\n"),
    ("flow, last", "s: { a: 1, b: 2 }\n", [("s", "b")], "s: { a: 1 }\n"),
    ("flow, the last two", "s: [a, b, c]\n", [("s", 1), ("s", 2)], "s: [a]\n"),
    ("flow, first and last", "s: [a, b, c]\n", [("s", 0), ("s", 2)], "s: [b]\n"),
    ("flow over lines", "s: [\n  a,  # A\n  b,  # B\n]\n", [("s", 0)], "s: [\n  # A\n  b,  # B\n]\n"),
    ("flow over lines, last", "s: [\n  a,\n  b\n]\n", [("s", 1)], "s: [\n  a,\n]\n"),
    ("flow in flow", "s: {a: {x: 1, y: [1, 2]}, b: 1}\n", [("s", "a", "y", 0)], "s: {a: {x: 1, y: [2]}, b: 1}\n"),
    ("quotes", "\"a\": 'x # y'\n'b': \"#\"\n", [("a",)], "'b': \"#\"\n"),
    ("text in block style", "a: |\n  x # no\n\n  y\n\nb: 1\n", [("a",)], "\nb: 1\n"),
    ("a comment at its head", "a: >-  # yes\n  x\nb: 1\n", [("a",)], "# yes\nb: 1\n"),
    ("no value", "a:\nb: 1\n", [("a",)], "b: 1\n"),
    ("a text over lines", "a: one\n  two\nb: 1\n", [("a",)], "b: 1\n"),
    ("beside an anchor", "a: &x {k: 1}\nb: *x\nc: 1\n", [("c",)], "a: &x {k: 1}\nb: *x\n"),
    ("the alias", "a: &x {k: 1}\nb: *x\nc: 1\n", [("b",)], "a: &x {k: 1}\nc: 1\n"),
    ("wide characters", "ä: 'ß€😀' # é\nb: 1\n", [("ä",)], "# é\nb: 1\n"),
    ("an anchor that nothing repeats", "a: &x {k: 1, l: 2}\n", [("a", "k")], "a: &x {l: 2}\n"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "paths", "after"), [each[1:] for each in REMOVED], ids=[each[0] for each in REMOVED]
)
def test_a_part_is_removed(text, paths, after):
    assert without(text, *paths) == after


REFUSED: list[tuple[str, str, Path, str]] = [
    ("all there is", "a: 1\n", ("a",), "nothing would be left"),
    ("what is repeated", "a: &x {k: 1, l: 1}\nb: *x\n", ("a", "k"), "an alias repeats it"),
    ("what holds an anchor", "a: {k: &x 1}\nb: *x\n", ("a", "k"), "an alias repeats it"),
    ("all that is repeated", "a: &x {k: 1}\nb: *x\n", ("a",), "an alias repeats it"),
    ("a comment before the next", "l:\n  - x: 1  # why\n    y: 2\n", ("l", 0, "x"), "a comment stands in between"),
    ("a list in a list", "l:\n  - - a\n    - b\n", ("l", 0, 0), "shares its line"),
    ("an explicit key", "? a\n: 1\nb: 1\n", ("a",), "shares its line"),
    ("behind the mark of a document", "--- {a: 1}\n", ("a",), "nothing would be left"),
    ("a comment that a text before would take in", "a: |\n  x\nb:\n  c: 1\n  # in\nd: 1\n", ("b",), "would not read"),
    ("flow with comments", "s: [a,  # A\n  b]\n", ("s", 0), "a comment stands in between"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "path", "why"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED]
)
def test_what_would_change_more_is_refused(text, path, why):
    with pytest.raises(EditRefusedError, match=why):
        without(text, path)


def test_nothing_is_left_empty_where_that_would_say_something_else():
    text = "s: {l: [{a: 1}], b: 1}\n"
    assert without(text, ("s", "l", 0)) == "s: {b: 1}\n"


def test_an_item_and_its_first_key_stand_at_one_place():
    text = "l:\n  - x: 1\n    y: 2\n  - z: 1\n"
    item, key = part(text, ("l", 0)), part(text, ("l", 0, "x"))
    assert item.at == key.at
    assert edited(text, Remove(item)) == "l:\n  - z: 1\n"
    assert edited(text, Remove(key)) == "l:\n  - y: 2\n  - z: 1\n"


def test_a_place_where_nothing_stands_is_refused():
    for at in (Position("mesh.yaml", 1, 2), Position("mesh.yaml", 9, 1)):
        with pytest.raises(EditRefusedError, match="another place"):
            changes("a: 1\nb: 1\n", [Remove(Part(at, "a"))])


@pytest.mark.parametrize(
    ("text", "path", "after"),
    [
        ("a: 1 # x\n", ("a",), "new: 1 # x\n"),
        ("s: {\"a\": 1, 'b': 2}\n", ("s", "a"), "s: {\"new\": 1, 'b': 2}\n"),
        ("l:\n- a: 1\n  b: 2\n", ("l", 0, "a"), "l:\n- new: 1\n  b: 2\n"),
    ],
)
def test_a_key_is_renamed(text, path, after):
    assert edited(text, Rename(part(text, path), "new")) == after


def test_a_key_that_is_there_is_not_written_again():
    with pytest.raises(EditRefusedError, match="would not read"):
        edited("a: 1\nb: 2\n", Rename(part("a: 1\nb: 2\n", ("a",)), "b"))


def test_keys_in_one_another_are_renamed_together():
    text = "a:\n  b: 1\n"
    edits = [Rename(part(text, ("a",)), "x"), Rename(part(text, ("a", "b")), "y")]
    assert edited(text, *edits) == "x:\n  y: 1\n"
