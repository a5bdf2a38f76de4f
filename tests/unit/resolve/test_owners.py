"""Which service, external or gateway a place belongs to, wherever its section stands."""

import pytest

from meshctl.diagnostics import Position
from meshctl.load import parse_spec
from meshctl.load.files import SpecFiles, source_file
from meshctl.resolve import Owners

A = """\
mesh: {name: shop}
services:
  web:
    port: 80
  api: {port: 81}
externals:
  bank: {hosts: [a]}
requires: {}
"""
B = "services:\n  db: {port: 1}\ngateways:\n  edge: {port: 2}\nexternals:\n  post: {}\n"


@pytest.mark.parametrize(
    ("file", "line", "owner"),
    [
        ("a", 1, ""),
        ("a", 3, "web"),
        ("a", 4, "web"),
        ("a", 5, "api"),
        ("a", 6, ""),
        ("a", 7, "bank"),
        ("a", 8, ""),
        ("b", 1, ""),
        ("b", 2, "db"),
        ("b", 3, ""),
        ("b", 4, "edge"),
        ("b", 6, "post"),
        ("c", 1, ""),
    ],
)
def test_a_place_belongs_to_the_block_around_it(file, line, owner):
    files = SpecFiles(tuple(source_file(name, text.encode()) for name, text in (("a", A), ("b", B))), ())
    assert Owners(parse_spec(files, "mesh").source).of(Position(file, line, 5)) == owner
