"""Several files are one spec, in which a name is defined once."""

import pytest

from meshctl.load import read_spec


@pytest.fixture
def spec(tmp_path, monkeypatch):
    """Reads the spec that consists of the given files, called a.yaml, b.yaml …"""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mesh").mkdir()

    def read(*texts):
        for name, text in zip("abcdef", texts, strict=False):
            (tmp_path / "mesh" / f"{name}.yaml").write_text(text, encoding="utf-8")
        return read_spec("mesh")

    return read


def told(source):
    return [
        (
            each.slug,
            str(each.at).removeprefix("mesh/"),
            *(str(other.at).removeprefix("mesh/") for other in each.related),
        )
        for each in source.findings
    ]


def test_each_file_may_hold_any_part(spec):
    source = spec(
        "apiVersion: v1\nmesh: {name: shop}\nservices:\n  web: {port: 1}\n",
        "apiVersion: v1\nservices:\n  api: {port: 2}\ngateways:\n  edge: {port: 3}\n",
        "\n\nservices:\n    db: {port: 4}\ndefaults: {timeout: 5s}\n",
    )
    assert source.findings == ()
    assert source.data == {
        "apiVersion": "v1",
        "mesh": {"name": "shop"},
        "services": {"web": {"port": "1"}, "api": {"port": "2"}, "db": {"port": "4"}},
        "gateways": {"edge": {"port": "3"}},
        "defaults": {"timeout": "5s"},
    }
    cursor = source.source
    assert str(cursor.at("services", "web", "port")) == "mesh/a.yaml:4:9"
    assert str(cursor.at("services", "api")) == "mesh/b.yaml:3:3"
    assert str(cursor.at("services", "db", "port")) == "mesh/c.yaml:4:10"
    assert str(cursor["services"].value_at("db")) == "mesh/c.yaml:4:9"
    assert str(cursor.at("services")) == "mesh/a.yaml:3:1"
    assert str(cursor.at("defaults", "timeout")) == "mesh/c.yaml:5:12"
    assert str(cursor.value_at("mesh")) == "mesh/a.yaml:2:7"


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        # a name in two files, in two kinds, in one file
        (
            ["services: {web: {}}", "\nservices: {web: {}}"],
            [("duplicate-definition", "b.yaml:2:12", "a.yaml:1:12")],
        ),
        (
            ["services: {web: {}}", "gateways: {web: {}}"],
            [("duplicate-definition", "b.yaml:1:12", "a.yaml:1:12")],
        ),
        (["services: {x: {}}\nexternals: {x: {}}"], [("duplicate-definition", "a.yaml:2:13", "a.yaml:1:12")]),
        (
            ["services: {x: {}}"] * 3,
            [
                ("duplicate-definition", "b.yaml:1:12", "a.yaml:1:12"),
                ("duplicate-definition", "c.yaml:1:12", "a.yaml:1:12"),
            ],
        ),
        (["services: {web: {}, api: {}}", "services: {db: {}}"], []),
        # what stands once
        (["mesh: {name: a}", "mesh: {name: a}"], [("duplicate-definition", "b.yaml:1:1", "a.yaml:1:1")]),
        (["defaults: {}", "defaults: {}"], [("duplicate-definition", "b.yaml:1:1", "a.yaml:1:1")]),
        (["lint: {}", "x: y", "lint: {}"], [("duplicate-definition", "c.yaml:1:1", "a.yaml:1:1")]),
        (["unknown: {}", "unknown: {}"], [("duplicate-definition", "b.yaml:1:1", "a.yaml:1:1")]),
        (["apiVersion: v1", "apiVersion: v1"], []),
        (["apiVersion: v1", "apiVersion: v2"], [("duplicate-definition", "b.yaml:1:1", "a.yaml:1:1")]),
        # not what it should be
        (["services: {a: {}}", "services: [b]"], [("invalid-value", "b.yaml:1:11")]),
        (["services: {a: {}}", "services:"], [("empty-value", "b.yaml:1:10")]),
        (["- a", "services: {}"], [("invalid-value", "a.yaml:1:1")]),
        (["just text"], [("invalid-value", "a.yaml:1:1")]),
        # nothing
        (["", "# nothing"], [("empty-spec", "mesh:1:1")]),
        ([], [("empty-spec", "mesh:1:1")]),
        (["", "mesh: {}"], []),
    ],
)
def test_clashes(spec, texts, expected):
    assert told(spec(*texts)) == expected


def test_of_two_definitions_the_first_is_kept(spec):
    assert spec("services: {x: {port: 1}}", "services: {x: {port: 2}}").data == {
        "services": {"x": {"port": "1"}}
    }


def test_a_broken_file_hides_neither_the_findings_nor_the_content_of_the_others(spec):
    source = spec("a: [b", "services: {x: {}, x: {}}", "b: \x1b", "mesh: {name: n}")
    assert [(slug, place) for slug, place, *_ in told(source)] == [
        ("yaml-syntax", "a.yaml:1:4"),
        ("duplicate-key", "b.yaml:1:19"),
        ("hidden-character", "c.yaml:1:4"),
    ]
    assert source.data == {"services": {"x": {}}, "mesh": {"name": "n"}}


def test_every_file_has_its_text_and_its_blob_id(spec):
    source = spec("a: \u00e9\n", "b: [")
    assert source.texts == {"mesh/a.yaml": "a: \u00e9\n", "mesh/b.yaml": "b: ["}
    assert source.blobs.keys() == source.texts.keys()
