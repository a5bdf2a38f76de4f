"""A duration in words is what a user would write for it."""

from datetime import timedelta

from hypothesis import given, strategies
from pydantic import TypeAdapter

from meshctl.ir import duration_text
from meshctl.spec.types import Duration

READ = TypeAdapter(Duration)


@given(strategies.integers(min_value=0, max_value=3650 * 86_400_000))
def test_words_are_read_as_the_same_duration(milliseconds):
    duration = timedelta(milliseconds=milliseconds)
    assert READ.validate_python(duration_text(duration)) == duration


def test_words_are_the_shortest():
    assert duration_text(timedelta(seconds=90)) == "1m30s"
    assert duration_text(timedelta(days=30)) == "30d"
    assert duration_text(timedelta()) == "0s"
