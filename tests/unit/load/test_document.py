"""One file: what is read, and what is refused with which words at which place."""

import pytest

from meshctl.load import limits, read_yaml


def read(text):
    return read_yaml(text if isinstance(text, bytes) else text.encode(), "f.yaml")


def faults(text):
    return [(each.slug, f"{each.at.line}:{each.at.column}") for each in read(text).findings]


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("", None),
        ("# nothing\n", None),
        ("---\n", None),
        ("a: b", {"a": "b"}),
        ("\ufeffa: b", {"a": "b"}),
        ("a: b\r\nc: d\r\n", {"a": "b", "c": "d"}),
        ("a:\r\n  - |\r\n    x\r\n    y\r\n", {"a": ["x\ny\n"]}),
        (
            "a: [1, no, 012, 1:30, 0x1f, 1e3, .inf, 2027-01-01, =]",
            {"a": ["1", "no", "012", "1:30", "0x1f", "1e3", ".inf", "2027-01-01", "="]},
        ),
        ("a: null\nb: ~\nc:\nd: Null\ne: NULL", dict.fromkeys("abcde")),
        ("a: 'null'\nb: \"~\"\nc: ''\nd: nULL", {"a": "null", "b": "~", "c": "", "d": "nULL"}),
        ("a: |\n  null\n", {"a": "null\n"}),
        ("null: x\n~: y\ntrue: z\n1: w", {"null": "x", "~": "y", "true": "z", "1": "w"}),
        ("'': x", {"": "x"}),
        ("'<<': x", {"<<": "x"}),
        ("? a\n: b\n? c\n", {"a": "b", "c": None}),
        ("a: &x [1]\nb: *x", {"a": ["1"], "b": ["1"]}),
        ("a: &x ~\nb: *x", {"a": None, "b": None}),
        ("a: 5%\nb: x%y", {"a": "5%", "b": "x%y"}),
        ('a: "\\t\\n\\u00e9"', {"a": "\t\n\u00e9"}),
        ("- a\n-\n- - b\n", ["a", None, ["b"]]),
        ("just text", "just text"),
        ("a: b\n...\n", {"a": "b"}),
        ("\u00e9\U0001f980: \u4e2d", {"\u00e9\U0001f980": "\u4e2d"}),
        ("a:\tb", {"a": "b"}),
    ],
)
def test_it_is_read(text, node):
    document = read(text)
    assert document.findings == ()
    assert document.node == node


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # features that hide meaning
        ("a: !!str x", [("yaml-feature-refused", "1:4")]),
        ("a: ! x", [("yaml-feature-refused", "1:4")]),
        ("a: !<tag:x> [b]\nc: !x {}", [("yaml-feature-refused", "1:4"), ("yaml-feature-refused", "2:4")]),
        ("!x a: b", [("yaml-feature-refused", "1:1")]),
        ("a: {b: c}\n<<: {d: e}", [("yaml-feature-refused", "2:1")]),
        ("a: &x {b: c}\nd:\n  <<: *x", [("yaml-feature-refused", "3:3")]),
        ("a: b\n---\nc: d", [("yaml-feature-refused", "2:1")]),
        ("---\n---\n", [("yaml-feature-refused", "2:1")]),
        ("%YAML 1.1\n---\na: b", [("yaml-feature-refused", "1:1")]),
        ("# x\n%TAG ! tag:x\n---\na: b", [("yaml-feature-refused", "2:1")]),
        ("? [a]\n: b", [("yaml-feature-refused", "1:3")]),
        ("{{a: b}: c}", [("yaml-feature-refused", "1:2")]),
        ("a: &x b\n*x : c", [("yaml-feature-refused", "2:1")]),
        ("a: &x 1\nb: &x 2", [("yaml-feature-refused", "2:4")]),
        ("a: &x [*x]", [("yaml-feature-refused", "1:8")]),
        # twice the same
        ("a: 1\nb: 2\na: 3", [("duplicate-key", "3:1")]),
        ("a: {b: 1, c: 2, b: 3}", [("duplicate-key", "1:17")]),
        ("a: 1\n'a': 2", [("duplicate-key", "2:1")]),
        ("a: 1\na: 2\na: 3", [("duplicate-key", "2:1"), ("duplicate-key", "3:1")]),
        # syntax
        ("a: [b\n", [("yaml-syntax", "1:4")]),
        ("a: {b: c\nd: e\n", [("yaml-syntax", "1:4")]),
        ("a: 'b\nc: d\n", [("yaml-syntax", "1:4")]),
        ("a:\n\tb: c", [("yaml-syntax", "2:1")]),
        ("a:\n  b: c\n \td: e", [("yaml-syntax", "3:2")]),
        ("a: b: c", [("yaml-syntax", "1:5")]),
        ("a:\n  b: c\n d: e", [("yaml-syntax", "3:2")]),
        ("a: @b", [("yaml-syntax", "1:4")]),
        ("from: [*]", [("yaml-syntax", "1:9")]),
        ('a: "\\d"', [("yaml-syntax", "1:5")]),
        ("a: *x", [("yaml-syntax", "1:4")]),
        (": a", [("yaml-syntax", "1:1")]),
        ("{: a}", [("yaml-syntax", "1:2")]),
        # text that is not what it seems
        (b"a: \xff", [("unreadable-file", "1:4")]),
        ("a: b\n\u00e9\u4e2d: ".encode() + b"\xe9: c", [("unreadable-file", "2:5")]),
        (b"\xef\xbb\xbfa: b\n\xc3", [("unreadable-file", "2:1")]),
        (b"a: \xed\xa0\x80", [("unreadable-file", "1:4")]),
        (b"\xff\xfea\0", [("unreadable-file", "1:1")]),
        ("a: b\x00", [("hidden-character", "1:5")]),
        ("a: \x1b[31m", [("hidden-character", "1:4")]),
        ("a: b\n\u00e9: \u202egpj", [("hidden-character", "2:4")]),
        ("a: x\ufeff", [("hidden-character", "1:5")]),
        ("a: x\u0085b", [("hidden-character", "1:5")]),
        ("a: x\u2028b", [("hidden-character", "1:5")]),
        ("a: b\rc: d", [("hidden-character", "1:5")]),
        ("a: b\r\nc: d\re: f\r\n", [("hidden-character", "2:5")]),
        ('a: "\\x1b"', [("hidden-character", "1:4")]),
        ('"\\u202e": a', [("hidden-character", "1:1")]),
        ("a: 'x\\x1b'", []),
    ],
)
def test_it_is_refused_at_its_place(text, expected):
    assert faults(text) == expected


def test_all_faults_are_told_at_once_and_the_rest_is_read():
    document = read("a: !x 1\nb: 2\nb: 3\n<<: 4\nc: *y\nd: 5")
    assert [each.at.line for each in document.findings] == [1, 3, 4, 5]
    assert document.node == {"a": "1", "b": "2", "c": None, "d": "5"}


def test_both_places_of_a_duplicate_are_told():
    (fault,) = read("x: 1\n\u00e9: {long: 2, b: 3}\n\u00e9: 4").findings
    assert [str(each.at) for each in fault.related] == ["f.yaml:2:1"]
    (fault,) = read("x: {\u00e9: 1, b: 2, \u00e9: 3}").findings
    assert [str(each.at) for each in fault.related] == ["f.yaml:1:5"]


def test_the_first_of_two_values_is_kept_and_later_keys_have_their_own_places():
    document = read("a: 1\na: 2\nb: 3")
    assert document.node == {"a": "1", "b": "3"}
    assert document.positions.key(document.node, "b").line == 3


@pytest.mark.parametrize(
    ("opening", "closing", "deepest"),
    [("[", "]", "x"), ("{a: ", "}", "x"), ("[{a: ", "}]", "x")],
)
def test_nesting_has_a_bound(opening, closing, deepest):
    levels = limits.DEPTH // opening.replace(" ", "").replace("a:", "").__len__()
    assert faults(opening * levels + deepest + closing * levels) == []
    (fault,) = faults(opening * levels + "[]" + closing * levels)
    assert fault[0] == "too-large"


def test_aliases_cannot_build_a_tower():
    half = limits.DEPTH // 2
    bottom = "a: &a " + "[" * half + "]" * half
    assert faults(f"{bottom}\nb: {'[' * (half - 1)}*a{']' * (half - 1)}") == []
    assert [slug for slug, _ in faults(f"{bottom}\nb: {'[' * half}*a{']' * half}")] == ["too-large"]


def test_what_aliases_stand_for_has_a_bound():
    ten = "a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]\nb:\n"
    assert faults(ten + "- *a\n" * (limits.ALIASED // 10)) == []
    assert faults(ten + "- *a\n" * (limits.ALIASED // 10 + 1)) == [
        ("too-large", f"{limits.ALIASED // 10 + 3}:3")
    ]


def test_a_text_has_a_bound():
    assert faults("a: " + "x" * limits.TEXT_CHARACTERS) == []
    assert faults("a: b" + "x" * limits.TEXT_CHARACTERS) == [("too-large", "1:4")]


def test_faults_have_a_bound():
    found = faults("- !x a\n" * 1000)
    assert len(found) == limits.FAULTS + 1
    assert found[-1] == ("too-large", f"{limits.FAULTS}:3")


def test_an_honest_file_may_be_large():
    service = (
        "  service-%d: {port: 8080, owner: team-catalog, endpoints: [{address: 10.0.0.1, zone: eu-1a}]}\n"
    )
    text = "services:\n" + "".join(service % n for n in range(20_000))
    document = read(text)
    assert document.findings == ()
    assert len(document.node["services"]) == 20_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("from: [*]", "quotes"),
        ('a: "\\d"', "single quotes"),
        ("a:\n\tb: c", "spaces"),
        ("a: !x b", "quotes"),
        ("a: b: c", "quotes"),
        ("a: [b\n", "`]`"),
        ("a: b\n---\nc: d", "file of its own"),
    ],
)
def test_the_way_out_is_told(text, words):
    (fault,) = read(text).findings
    assert words in fault.fix


def test_a_message_never_carries_the_attack():
    for text in ("a: !a%1b%5b31m b", f"{'k' * 500}: 1\n{'k' * 500}: 2", '"\\x1b": 1\n"\\x1b": 2'):
        for fault in read(text).findings:
            assert fault.message.isprintable()
            assert len(fault.message) < 200
