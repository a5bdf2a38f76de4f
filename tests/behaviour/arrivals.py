"""What applications saw of a row's requests: who got how many, copies too, and when they could stop working."""

from __future__ import annotations

import time
from collections import Counter

from tests.behaviour.binomial import bounds
from tests.behaviour.crowds import belongs
from tests.behaviour.expectations import check_seen

LIMIT = 4.0
"""Seconds until a copy that should be has come, body and all."""

GLANCE = 0.05


def check_effects(expect, answers, world):
    """Faults of what the applications saw, as soon as there are none, or after a while."""
    if expect.over is not None:
        yield from _check_over(expect.over, answers, world)
    if expect.arrived or expect.saw or expect.copied:
        time.sleep(expect.settled)
        deadline = time.monotonic() + LIMIT
        faults = list(_check_seen(expect, answers, world))
        while faults and time.monotonic() < deadline:
            time.sleep(GLANCE)
            faults = list(_check_seen(expect, answers, world))
        yield from faults


def _check_over(seconds, answers, world):
    for answer in answers:
        under_way = _under_way(world, answer)
        while under_way and time.monotonic() < answer.ended + seconds:
            time.sleep(GLANCE)
            under_way = _under_way(world, answer)
        if under_way:
            yield f"{seconds} s after the end {under_way} still work"


def _under_way(world, answer):
    seen = world.arrivals(answer.identifier)["seen"]
    return [f"{each['service']}/{each['instance']}" for each in seen if each["end"] is None]


def _check_seen(expect, answers, world):
    seen = [world.arrivals(answer.identifier)["seen"] for answer in answers]
    taken = Counter(f"{each['service']}/{each['instance']}" for listed in seen for each in listed)
    for key, wanted in expect.arrived.items():
        low, high = wanted if isinstance(wanted, list) else (wanted, wanted)
        count = sum(number for name, number in taken.items() if belongs(name, key))
        if not low <= count <= high:
            yield f"{count} arrivals at {key}, not {wanted}: {dict(taken)}"
    for key, share in expect.copied.items():
        count = sum(any(belongs(_name(each), key) for each in listed) for listed in seen)
        low, high = bounds(len(answers), share)
        if not low <= count <= high:
            yield f"{count} of {len(answers)} were copied to {key}, which is not {share:.1%}: {low} to {high}"
    for key, wanted in expect.saw.items():
        there = [each for listed in seen for each in listed if belongs(_name(each), key)]
        if not there or "body" not in there[-1]:
            yield f"{key} saw nothing whole"
        else:
            yield from (f"{key}: {fault}" for fault in check_seen(wanted, there[-1]))


def _name(arrival):
    return f"{arrival['service']}/{arrival['instance']}"
