"""The bounds against numbers from elsewhere: by hand where few trials allow it, and by the normal's where many do."""

import math

import pytest

from tests.behaviour.binomial import UNLIKELY, bounds


@pytest.mark.parametrize(("probability", "sure"), [(0.0, 0), (1.0, 50)])
def test_what_is_sure_has_no_slack(probability, sure):
    assert bounds(50, probability) == (sure, sure)


@pytest.mark.parametrize("trials", [10, 23])
def test_few_trials_allow_everything(trials):
    """Half to the power of 23 is more than the limit."""
    assert bounds(trials, 0.5) == (0, trials)


def test_the_first_impossible_count_is_left_out():
    """2^-24 is less than 1e-7, and 25 times that more."""
    assert 2**-24 < UNLIKELY < 25 * 2**-24
    assert bounds(24, 0.5) == (1, 23)


def test_many_trials_are_the_normal_distribution():
    low, high = bounds(10_000, 0.3)
    slack = 5.2 * math.sqrt(10_000 * 0.3 * 0.7)
    assert low == pytest.approx(3000 - slack, abs=10)
    assert high == pytest.approx(3000 + slack, abs=10)
