"""What the tables' expectations make of answers: each must be able to fail."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pytest

from tests.behaviour.arrivals import check_effects
from tests.behaviour.client import Answer
from tests.behaviour.crowds import EARLY, LATE, check_crowd, placement
from tests.behaviour.tables import Expect, parse_table


def answer(instance="1", status=200, duration=0.01, key="", identifier="a", ended=0.0):
    body = json.dumps({"service": "server", "instance": instance}).encode()
    return Answer(identifier, duration, status, body=body, key=key, ended=ended)


def faults(answers, before=(), **expected):
    return list(check_crowd(Expect(**expected), answers, before))


ONE_TWO_TWO = [answer("1"), answer("2"), answer("2")]
MIXED = [answer(status=200, duration=0.3), answer(status=503, duration=0.1), answer(status=503)]


@pytest.mark.parametrize(
    ("answers", "good", "bad"),
    [
        (ONE_TWO_TWO, {"reaches": ["1", "2"]}, {"reaches": ["1"]}),
        (ONE_TWO_TWO, {"reaches": 2}, {"reaches": 3}),
        (ONE_TWO_TWO, {"among": ["1", "2", "3"]}, {"among": ["2", "3"]}),
        (ONE_TWO_TWO, {"at_most": {"2": 0.7}}, {"at_most": {"2": 0.6}}),
        (ONE_TWO_TWO, {"repeats": 0}, {"repeats": 1}),
        ([answer("1"), answer("1"), *[answer("2")] * 5], {"repeats": 1}, {"repeats": 2}),
        (MIXED, {"counts": {503: 2}}, {"counts": {503: 1}}),
        (MIXED, {"counts": {200: [1, 3]}}, {"counts": {200: [2, 3]}}),
        (MIXED, {"durations": {503: [0, 0.1]}}, {"durations": {503: [0, 0.05]}}),
        (MIXED, {"durations": {200: [0.3 + EARLY - 0.01, 1]}}, {"durations": {200: [0.3 + EARLY + 0.01, 1]}}),
        (MIXED, {"longest": 0.3}, {"longest": 0.2 - LATE}),
        (MIXED, {"longest": 0.3, "short": 0}, {"longest": 0.4, "short": 0}),
        (MIXED, {"longest": 0.4, "short": 0.1}, {"longest": 0.4, "short": 0.05}),
        (MIXED, {"slow": {0.5: 0.0}}, {"slow": {0.2: 0.0}}),
        (MIXED, {"slow_among": {503: {0.2: 0.0}}}, {"slow_among": {503: {0.2: 1.0}}}),
    ],
)
def test_what_a_crowd_shows(answers, good, bad):
    assert not faults(answers, **good)
    assert faults(answers, **bad)


def test_an_instance_that_nobody_expects_is_seen():
    assert faults([answer("1"), answer("3")], reaches=["1"])


def let_in_by(burst, rate, times):
    """What a bucket answers to who asks at ``times``."""
    tokens, before = burst, times[0]
    for each in times:
        tokens = min(burst, tokens + (each - before) * rate)
        before = each
        yield answer(ended=each, duration=0, status=200 if tokens >= 1 else 429)
        tokens -= tokens >= 1


EVENLY = [10 + number / 50 for number in range(101)]
AFTER_A_REST = [*EVENLY[:50], *(each + 2 for each in EVENLY[50:])]


@pytest.mark.parametrize("times", [EVENLY, AFTER_A_REST])
@pytest.mark.parametrize(
    ("burst", "rate", "right"),
    [(5, 10, True), (2, 10, False), (8, 10, False), (5, 7, False), (5, 14, False), (5, 0, False)],
)
def test_a_bucket_lets_in_what_it_holds_and_gets(burst, rate, right, times):
    """Five, and ten a second."""
    taken = list(let_in_by(burst, rate, times))
    assert (not faults(taken, admitted={"burst": 5, "per_second": 10})) is right


def test_who_was_answered_late_may_have_been_let_in_early():
    taken = [*let_in_by(5, 10, EVENLY), *(answer(ended=13.0, duration=1.0, status=200) for _ in range(3))]
    assert not faults(taken, admitted={"burst": 5, "per_second": 10})


def test_a_bucket_that_refuses_nothing_is_none():
    answers = [answer(ended=10.0, duration=0) for _ in range(5)]
    assert faults(answers, admitted={"burst": 5, "per_second": 10})


def keyed(**instances):
    return [answer(instance, key=key) for key, instance in instances.items()]


def test_keys_stick():
    assert not faults([*keyed(a="1", b="2"), *keyed(a="1")], keys={"sticky": True})
    assert faults([*keyed(a="1", b="2"), *keyed(a="2")], keys={"sticky": True})


def test_keys_spread():
    fair = [answer(str(number % 3), key=f"k{number}") for number in range(60)]
    assert not faults(fair, keys={"spread": ["0", "1", "2"]})
    assert faults([answer("0", key=each.key) for each in fair], keys={"spread": ["0", "1", "2"]})


@pytest.mark.parametrize(
    ("after", "right"),
    [
        (keyed(a="2", b="2", c="3"), True),
        (keyed(a="1", b="2", c="3"), False),
        (keyed(a="2", b="3", c="3"), False),
    ],
)
def test_only_keys_of_who_is_gone_move(after, right):
    before = placement(keyed(a="1", b="2", c="3"))
    assert (not faults(after, [before], keys={"moved_from": ["1"]})) is right


def test_keys_come_back():
    first, second = placement(keyed(a="1", b="2")), placement(keyed(a="2", b="2"))
    assert not faults(keyed(a="1", b="2"), [first, second], keys={"back_to": 0})
    assert faults(keyed(a="2", b="2"), [first, second], keys={"back_to": 0})


def seen(instance, length=0, end="answered"):
    service, _, number = instance.partition("/")
    body = {"length": length, "sha256": ""}
    return {"service": service, "instance": number, "method": "GET", "headers": [], "body": body, "end": end}


def effects(arrivals, monkeypatch, **expected):
    monkeypatch.setattr("tests.behaviour.arrivals.LIMIT", 0.05)
    world = SimpleNamespace(arrivals=lambda _: {"hits": len(arrivals), "seen": arrivals})
    return list(check_effects(Expect(settled=0, **expected), [answer(ended=time.monotonic())], world))


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ({"arrived": {"server/1": 1, "copy/1": 2}}, {"arrived": {"copy/1": 1}}),
        ({"arrived": {"other/1": 0}}, {"arrived": {"server/1": 0}}),
        ({"copied": {"copy/1": 1.0}}, {"copied": {"copy/1": 0.0}}),
        ({"saw": {"copy/1": {"method": "GET", "body": 7}}}, {"saw": {"copy/1": {"body": 8}}}),
        ({"saw": {"copy/1": {}}}, {"saw": {"other/1": {}}}),
    ],
)
def test_what_applications_saw(good, bad, monkeypatch):
    arrivals = [seen("server/1"), seen("copy/1"), seen("copy/1", 7)]
    assert not effects(arrivals, monkeypatch, **good)
    assert effects(arrivals, monkeypatch, **bad)


def test_who_still_works_is_seen(monkeypatch):
    assert not effects([seen("server/1", end="gone")], monkeypatch, over=0.05)
    assert effects([seen("server/1", end="gone"), seen("copy/1", end=None)], monkeypatch, over=0.05)


def test_steps_have_what_their_row_has():
    steps = [{"expect": {"status": 200}}, {"name": "own", "host": "other", "headers": {"x-b": "2"}}]
    written = {"name": "a", "host": "server", "headers": {"x-a": "1"}, "steps": steps}
    (row,) = parse_table("t", {"features": [], "spec": {}, "requests": [written]}).requests
    assert [each.name for each in row.steps] == ["step 1", "own"]
    assert [each.host for each in row.steps] == ["server", "other"]
    assert [each.headers for each in row.steps] == [[("x-a", "1")], [("x-b", "2")]]
    assert not row.simulated


def test_what_stands_beside_steps_would_be_lost():
    row = {"name": "a", "expect": {"status": 200}, "steps": [{"expect": {}}]}
    with pytest.raises(ValueError, match=r"\['expect'\] beside its steps"):
        parse_table("t", {"features": [], "spec": {}, "requests": [row]})
