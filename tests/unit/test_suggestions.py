"""The nearest name, in bounded time whatever was written."""

from __future__ import annotations

import time

import pytest

from meshctl.suggestions import did_you_mean, meant, nearest


@pytest.mark.parametrize(
    ("word", "known", "found"),
    [
        ("catalgo", ["orders", "catalog"], "catalog"),
        ("Catalog", {"catalog": 1}, "catalog"),
        ("payments", ["orders", "catalog"], None),
        ("catalog", [], None),
        ("", ["catalog"], None),
    ],
)
def test_the_nearest_is_alike(word, known, found):
    assert nearest(word, known) == found


def test_the_sentence_or_what_is_said_otherwise():
    assert did_you_mean("catalgo", ["catalog"]) == "Did you mean `catalog`?"
    assert did_you_mean("x", ["catalog"], "There is catalog.") == "There is catalog."
    assert meant("catalgo", ["catalog"]) == "; did you mean `catalog`?"
    assert meant("x", ["catalog"]) == ""


def test_long_words_and_many_names_cost_little():
    started = time.process_time()
    assert nearest("a" * 1_000_000, ["b" * 1_000_000, "a" * 90]) == "a" * 90
    assert nearest("orders", (f"orders-{number}" for number in range(100_000))) is None
    assert time.process_time() - started < 2
