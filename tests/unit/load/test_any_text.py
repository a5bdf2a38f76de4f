"""Any text at any place of the language: it is taken, or refused at its place; never a traceback, and soon.

The spec that holds all keys comes from the models, so a new key is tried as soon as it is there. What is taken
must also be itself on the wire: tests/behaviour/test_literals.py.
"""

from __future__ import annotations

import copy
import json
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshctl import pipeline
from meshctl.load import language, read_yaml
from meshctl.spec import MeshSpec, Positions
from tests.seconds import soak_seconds

SAMPLES = (
    *("10.0.0.1", "10.0.0.1:53", "/a", "a", "/a.pem", "5s", "true", "1", "80", "200", "50%", "2027-01-01", ">=0.1"),
    *("a.example", "GET", "x-a", "301", "a/b.json", "_a._tcp.example", "p99", "30d"),
)  # fmt: skip
ODD = (
    *("", " ", "a\nb", "a\tb", "\x00", "\x1b[31m", "\x7f", "\u0085", "\u2028", "\u202egpj", "\ufeff", "é", "🦀", "\u0301"),
    *("`", "'", '"', "\\", "${x}", "$1", "%[src]", "%REQ(x)%", "{{x}}", "{%x%}", "#", ";", "}", "*", "&a", "!x", "|", ">"),
    *("../..", "/../a", "//", "/%2f", "-", "--", ".", "..", "*.", "*.*", "null", "~", "no", "1e9", "\u0661", "\uff19", "\uff15s", "0x10"),
    *("a" * 64, "a" * 300, "a" * 70_000, "9" * 5000, "9" * 300 + "s", "(" * 500, "(a" * 200, "[" * 400, "a{999}" * 80),
    *("-----BEGIN CERTIFICATE-----", "\u212a", "\u017f", "ß.example", "xn--", "a..b", "127.0.0.1.", "::ffff:1.2.3.4", "fe80::1%eth0"),
)  # fmt: skip
NAMES = {("externals",): "b", ("gateways",): "c"}


def sample(path=()):
    """What may be written at ``path``, with every key that the models know."""
    annotation = language.annotation_at(path)
    known = language.keys(annotation)
    if known:
        return {key: sample((*path, key)) for key in known}
    if language.is_list(annotation):
        return [sample((*path, 0))]
    if language.is_named(annotation):
        key = NAMES.get(path) or first(language.annotation_at((*path, ""), key=True))
        return {key: sample((*path, key))}
    return (
        {}
        if language.accepts(annotation, {}) and not language.accepts(annotation, "1")
        else first(annotation)
    )


def first(annotation):
    return next(
        each for each in (*language.words(annotation), *SAMPLES) if language.accepts(annotation, each)
    )


def places(node, path=()):
    """Every scalar, and every key that is the user's own: (path, whether the key is meant)."""
    if isinstance(node, dict):
        for key, below in node.items():
            if language.is_named(language.annotation_at(path)):
                yield (*path, key), True
            yield from places(below, (*path, key))
    elif isinstance(node, list):
        yield from places(node[0], (*path, 0))
    else:
        yield path, False


WHOLE = sample()
PLACES = list(places(WHOLE))


def changed(wanted, text):
    """The whole spec with ``text`` at all the ``wanted`` places, and the paths that lead there now."""
    spec = copy.deepcopy(WHOLE)
    paths = []
    for path, is_key in wanted:
        holder = spec
        for step in path[:-1]:
            holder = holder[step]
        if is_key:
            holder[text] = holder.pop(path[-1])
        else:
            holder[path[-1]] = text
        paths.append(((*path[:-1], text) if is_key else path, is_key))
    return spec, paths


def position(node, positions, path, *, is_key):
    """Where the text stands in the file."""
    for step in path[:-1]:
        node = node[step]
    return (positions.key if is_key else positions.value)(node, path[-1])


def check(folder, wanted, text):
    spec, paths = changed(wanted, text)
    content = json.dumps(spec, ensure_ascii=False).encode("utf-8", "surrogatepass")
    where = folder / "mesh.yaml"
    where.write_bytes(content)
    found = pipeline.validate(str(where)).findings
    lines = content.decode("utf-8", "replace").split("\n")
    for each in found:
        assert each.at is not None, each
        assert 1 <= each.at.line <= len(lines), each
        assert 1 <= each.at.column <= len(lines[each.at.line - 1]) + 1, each
        assert each.message.isprintable(), each
        assert len(each.message) + len(each.fix) < LONGEST, each
    if any(each.slug in OF_THE_FILE for each in found):
        return
    told = {each.at and each.at[1:] for each in found if each.is_error}
    positions = Positions()
    node = read_yaml(content, "mesh.yaml", positions).node
    for path, is_key in paths:
        if not language.accepts(language.annotation_at(path, key=is_key), text):
            assert position(node, positions, path, is_key=is_key)[1:] in told, (path, text, found)


TEXTS = (
    st.sampled_from(ODD)
    | st.text(max_size=30)
    | st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E))
)
OF_THE_FILE = {"hidden-character", "unreadable-file", "yaml-syntax", "too-large", "duplicate-definition"}
LONGEST = 1500


def test_the_models_take_the_whole():
    assert language.accepts(MeshSpec, WHOLE)
    assert len(PLACES) > 400


@settings(max_examples=150, deadline=10_000, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(PLACES), TEXTS)
def test_any_text_is_taken_or_refused_at_its_place(tmp_path_factory, place, text):
    check(tmp_path_factory.getbasetemp(), [place], text)


@pytest.mark.parametrize("text", ODD, ids=lambda text: ascii(text)[1:20])
def test_an_odd_text_everywhere_is_refused_everywhere(tmp_path, text):
    values = [place for place in PLACES if not place[1] and place[0] != ("apiVersion",)]
    check(tmp_path, values, text)


@pytest.mark.soak
def test_any_text_for_long(tmp_path):
    end = time.monotonic() + soak_seconds(0.1)

    @settings(max_examples=500, deadline=10_000, suppress_health_check=list(HealthCheck), database=None)
    @given(st.sampled_from(PLACES), TEXTS)
    def taken_or_refused(place, text):
        check(tmp_path, [place], text)

    while time.monotonic() < end:
        taken_or_refused()
