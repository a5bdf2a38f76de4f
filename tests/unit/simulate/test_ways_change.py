"""Who newly reaches whom through others: what comparing both meshes as a whole says."""

from __future__ import annotations

import random
from itertools import pairwise

from meshctl import pipeline, simulate
from meshctl.diff import services_of
from meshctl.ir.reachability import Ground
from tests.unit.resolve.specs import resolved

NAMES = "abcdefghij"
MESHES = 40


def services(calls, closed=()):
    """A service for each name; of ``closed`` ones the rules let in nobody."""
    lines = ["services:"]
    for number, name in enumerate(NAMES):
        called = ", ".join(f"{each}: {{}}" for each in sorted(calls.get(name, ())))
        deny = ', deny: [{from: ["*"]}]' if name in closed else ""
        lines.append(
            f"  {name}: {{port: 80, endpoints: [{{address: 10.0.0.{number}}}], calls: {{{called}}}{deny}}}"
        )
    return "\n".join(lines)


def drawn(chance):
    calls = {name: {each for each in NAMES if each != name and chance.random() < 0.15} for name in NAMES}
    return calls, {name for name in NAMES if chance.random() < 0.15}


def connected(mesh):
    """All pairs that some way connects, by trying them all."""
    edges = {
        (caller, callee)
        for callee, callers in simulate.reachability(mesh).permissions.items()
        for caller, some in callers.items()
        if any(each.ground is not Ground.EGRESS for each in some)
    }
    found = set(edges)
    while True:
        more = {(one, last) for one, middle in found for again, last in edges if again == middle} | found
        if more == found:
            return edges, {pair for pair in found if pair[0] != pair[1]}
        found = more


def compared(before, after):
    change = pipeline.change_between(before, after)
    differ = services_of(change)
    return simulate.ways_change(before, after, change.opened, change.closed, differ)


def changed(chance, calls, closed):
    """One to three other calls, and perhaps rules."""
    other = {name: set(called) for name, called in calls.items()}
    for _ in range(chance.randint(1, 3)):
        name = chance.choice(NAMES)
        other[name] ^= {chance.choice(NAMES.replace(name, ""))}
    return other, closed ^ ({chance.choice(NAMES)} if chance.random() < 0.5 else set())


def test_it_is_what_comparing_all_pairs_says(tmp_path):
    told = 0
    for seed in range(MESHES):
        chance = random.Random(seed)
        calls, closed = drawn(chance)
        before, after = (
            resolved(tmp_path, services(*each)) for each in ((calls, closed), changed(chance, calls, closed))
        )
        ways, lost = compared(before, after)
        (old, was), (new, now) = connected(before), connected(after)
        assert {(each.names[0], each.names[-1]) for each in ways} == now - was - new, seed
        assert set(lost) == was - now - old, seed
        for each in ways:
            steps = set(pairwise(each.names))
            assert steps <= new, seed
            assert each.pair in steps - old, seed
        told += len(ways) * len(lost)
    assert told, "no mesh has both"


CHAIN = {"a": {"b"}, "b": set(), "c": {"d"}}


def test_the_reason_is_the_call_or_the_rule_that_is_new(tmp_path):
    def because(before, after):
        old, new = (resolved(tmp_path, services(*each)) for each in (before, after))
        ways, _ = compared(old, new)
        return [each.words for each in ways]

    linked = {**CHAIN, "b": {"c"}}
    assert because((CHAIN, ()), (linked, ())) == [
        "`a` can now reach `c`, by a -> b -> c, because `b` now calls `c`",
        "`a` can now reach `d`, by a -> b -> c -> d, because `b` now calls `c`",
        "`b` can now reach `d`, by b -> c -> d, because `b` now calls `c`",
    ]
    assert because((linked, "c"), (linked, ())) == [
        "`a` can now reach `c`, by a -> b -> c, because `c` now lets `b` in",
        "`a` can now reach `d`, by a -> b -> c -> d, because `c` now lets `b` in",
        "`b` can now reach `d`, by b -> c -> d, because `c` now lets `b` in",
    ]
    assert because((linked, ()), (linked, ())) == []
