"""Whatever the bytes: an answer, in bounds; and what is read is what another YAML library reads."""

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from meshctl.load import limits, read_yaml

SNIPPETS = st.sampled_from(
    [
        *"abc:-?,[]{}#&*!|>'\"%@`\\ \n\t\r\0~=<.",
        *(
            ": ",
            "- ",
            "? ",
            "\n  ",
            "\n    ",
            "&a ",
            "*a ",
            "!!str ",
            "!x ",
            "<<: ",
            "---\n",
            "...\n",
            "%TAG ! x\n",
        ),
        *(
            "\\x1b",
            "\\ud800",
            "\u00e9",
            "\U0001f980",
            "\u2028",
            "\ufeff",
            "null",
            "|2\n",
            ">-\n",
            "key: value\n",
        ),
        *("\xed\xa0\x80", "\r\n", "{a: b}", "[a, b]", "'", '"'),
    ]
)
HOSTILE = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(SNIPPETS, max_size=60).map(lambda parts: "".join(parts).encode("utf-8", "surrogatepass")),
)


def nodes(node):
    yield node
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for _, child in children:
        yield from nodes(child)


@settings(max_examples=1500, deadline=None)
@given(HOSTILE)
@example(b"a: &a\n? *a\n: b")
@example(b"\xef\xbb\xbf\xef\xbb\xbf")
@example(b"? - a\n  - b\n: - c")
def test_any_bytes_have_an_answer(content):
    document = read_yaml(content, "f.yaml")

    lines = document.text.split("\n")
    for fault in document.findings:
        assert 1 <= fault.at.line <= len(lines)
        assert 1 <= fault.at.column <= len(lines[fault.at.line - 1]) + 1
        assert fault.message.isprintable()
    for node in nodes(document.node):
        assert node is None or type(node) in (dict, list, str)
        if isinstance(node, dict):
            assert all(type(key) is str for key in node)
        if not isinstance(node, str) and node is not None:
            assert document.positions.container(node) is not None
            keys = node if isinstance(node, dict) else range(len(node))
            assert all(document.positions.key(node, key) is not None for key in keys)


def as_others_read(text):
    """What PyYAML's parser, in Python, makes of ``text``; all is text but for plain nulls that are no keys."""
    loader = yaml.SafeLoader(text)
    null = yaml.SafeLoader.yaml_implicit_resolvers["~"]
    loader.yaml_implicit_resolvers = dict.fromkeys(["~", "n", "N", ""], null)

    def plain(node):
        if isinstance(node, yaml.MappingNode):
            return {key.value: plain(value) for key, value in node.value}
        if isinstance(node, yaml.SequenceNode):
            return [plain(item) for item in node.value]
        return None if node is None or node.tag == "tag:yaml.org,2002:null" else node.value

    return plain(loader.get_single_node())


TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Cf", "Zl", "Zp"]), max_size=20
) | st.sampled_from(
    ["null", "~", "", "no", "012", "1:30", "- a", "a: b", "#", "a #b", "é", "*", "&", "!", "<<", " "]
)
TREES = st.recursive(
    st.none() | TEXTS,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(TEXTS, children, max_size=4),
    max_leaves=20,
)


def without_shared(node):
    """A copy in which nothing stands twice, so that no anchors are written."""
    if isinstance(node, dict):
        return {key: without_shared(child) for key, child in node.items()}
    return [without_shared(child) for child in node] if isinstance(node, list) else node


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    TREES, st.sampled_from([None, True, False]), st.sampled_from([None, '"', "'", "|", ">"]), st.booleans()
)
def test_what_is_written_is_read(tree, flow, style, unicode):
    tree = without_shared(tree)
    written = yaml.safe_dump(
        tree,
        default_flow_style=flow,
        default_style=style,
        allow_unicode=unicode,
        width=10_000,
        sort_keys=False,
    )
    if "!!" in written or "? " in written:
        return  # an empty key, or a null in quotes: written with a tag
    document = read_yaml(written.encode(), "f.yaml")
    assert document.findings == ()
    assert document.node == tree


@settings(max_examples=600, deadline=None)
@given(st.lists(SNIPPETS, max_size=40).map("".join))
def test_another_library_reads_the_same(text):
    document = read_yaml(text.encode("utf-8", "surrogatepass"), "f.yaml")
    if document.findings:
        return
    try:
        expected = as_others_read(text.removeprefix("\ufeff"))
    except yaml.YAMLError:
        return  # it knows a few things less, such as a tab at the end of a line
    assert document.node == expected


@settings(max_examples=50, deadline=None)
@given(st.integers(1, limits.DEPTH + 20), st.sampled_from(["[", "{a: ", "- "]))
def test_depth_is_refused_exactly_above_the_bound(levels, opening):
    closing = {"[": "]", "{a: ": "}", "- ": ""}[opening]
    document = read_yaml((opening * levels + "x" + closing * levels).encode(), "f.yaml")
    assert [each.slug for each in document.findings] == (["too-large"] if levels > limits.DEPTH else [])
