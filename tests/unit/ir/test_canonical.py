"""The gate against its vectors, and against properties that hold for every target."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from meshctl.ir.canonical import Refusal, refusal

VECTORS = YAML(typ="safe").load(Path(__file__).parents[2] / "vectors/paths.yaml")["vectors"]

# The contract once more, as one expression over bytes: a second opinion, written in another way.
CANONICAL = re.compile(
    r"""
    (?: / (?! \.{1,2} (?: [/;?] | \Z ) )                             # no dot segment
          (?: [!$&'()*+,\-.0-9:;<=>@A-Z\[\]^_`a-z{|}~"]              # a byte that stands for itself
            | % (?! 2[Ff] | 5[Cc] | 00 )                             # no slash, backslash, NUL
                (?! 2[DdEe] | 3[0-9] | 4[1-9A-Fa-f] | 5[0-9AaFf] | 6[1-9A-Fa-f] | 7[0-9AaEe] )
                [0-9A-Fa-f]{2} )+
    )*
    /?                                                               # only the last segment is empty
    (?: (?<=.) \? [!-~]* )?
    """,
    re.VERBOSE,
)

pieces = st.sampled_from(
    ["/", "//", ".", "..", ";", "?", "#", "\\", "%", "%2f", "%2E", "%5c", "%00", "%41", "%20", "%zz", "%c3"]
)
targets = st.lists(pieces | st.characters(max_codepoint=255), max_size=12).map(
    lambda parts: "/" + "".join(parts)
)


def test_the_vectors_are_many_and_each_reason_has_some():
    assert len(VECTORS) >= 150
    assert len({each["target"] for each in VECTORS}) == len(VECTORS)
    assert {each.get("reason") for each in VECTORS} == {None, *Refusal}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: ascii(vector["target"])[:60])
def test_vector(vector):
    expected = None if vector["verdict"] == "accepted" else Refusal(vector["reason"])
    assert refusal(vector["target"]) is expected


@given(targets)
@example("/")
def test_a_second_opinion_agrees(target):
    fine = "#" not in target and CANONICAL.fullmatch(target) is not None
    assert (refusal(target) is None) == fine


@given(targets)
def test_what_passes_means_one_thing_only(target):
    """No way of normalising that proxies and applications are known for changes what passed."""
    if refusal(target) is not None:
        return
    path = target.partition("?")[0]
    assert re.sub("/+", "/", path) == path
    segments = [segment.partition(";")[0] for segment in path.split("/")]
    assert not {".", ".."} & set(segments)
    decoded = re.sub("%([0-9a-fA-F]{2})", lambda found: chr(int(found[1], 16)), path)
    assert decoded.count("/") == path.count("/")
    assert "\\" not in decoded
    assert "\0" not in decoded


@given(targets, st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#")))
def test_a_query_changes_nothing(target, query):
    path = target.partition("?")[0]
    assert refusal(path) is refusal(f"{path}?{query}")
