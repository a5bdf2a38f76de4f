"""The fuzzers find what they are for: faults planted in meshctl, one for each promise."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from meshctl.lint import reading
from meshctl.load import document
from meshctl.pki import register
from meshctl.resolve import digest
from meshctl.simulate import explanation
from meshctl.targets.envoy import protobuf
from meshctl.targets.haproxy import quoting as haproxy
from meshctl.targets.nginx import quoting as nginx
from tests.fuzz import fuzzers
from tests.fuzz.readers import haproxy_words, read
from tests.fuzz.watching import CostError, StrayError, watched

RUNS = 400


def found(name: str, folder: Path, runs: int = RUNS) -> BaseException | None:
    """The first fault that a fuzzer comes upon."""
    draw = random.Random(7)
    for _ in range(runs):
        try:
            fuzzers.once(name, draw.randbytes(120), folder)
        except Exception as error:  # noqa: BLE001 - of any kind
            return error
    return None


def test_a_text_that_ends_its_word_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(haproxy, "word", lambda text: haproxy.Token(f"'{text}'"))
    assert found("quoting", tmp_path) is not None


@pytest.mark.parametrize(
    ("module", "name", "broken"),
    [
        (nginx, "_without_variables", lambda text: text),
        (nginx, "_quoted", lambda text: nginx.Token(f'"{text}"')),
        (nginx, "literal_regex", lambda text: text),
        (haproxy, "_argument", lambda text: f'"{text}"'),
        (haproxy, "literal_format", lambda text: haproxy.word(text)),
        (protobuf, "format_literal", lambda text: text),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_level_of_quoting_that_is_missing_is_found(tmp_path, monkeypatch, module, name, broken):
    monkeypatch.setattr(module, name, broken)
    assert found("quoting", tmp_path) is not None


def test_a_text_that_changes_the_file_around_it_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(nginx, "lua_text", lambda text: nginx.Token(f'"{text}"'))
    assert isinstance(found("injected", tmp_path), (AssertionError, ValueError))
