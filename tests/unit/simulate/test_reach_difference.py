"""Whom a change lets in and keeps out, against both graphs worked out anew from every request there is."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections import Counter

import pytest

from meshctl import ir, pipeline
from meshctl.ir.change import ANYBODY, MeshChange, Opened
from meshctl.ir.reachability import Example
from tests.seconds import soak_seconds
from tests.unit.simulate.reach_oracle import REQUESTS, Asked, Oracle, changed, drawn

SEED, CHANGES = 2, 25
STRANGER = "somebody"
"""An identity of the mesh that no rule names."""


def compiled(document, folder) -> ir.Mesh | None:
    services = {
        name: its | {"port": 8080, "endpoints": [{"address": f"10.82.0.1{name[1:]}"}]}
        for name, its in document["services"].items()
    }
    mesh = {"name": "shop", "domain": "shop.mesh", "trustDomain": "shop.example"} | document["mesh"]
    path = folder / "mesh.yaml"
    path.write_text(json.dumps({"apiVersion": "meshctl.dev/v1", "mesh": mesh, "services": services}))
    return pipeline.validate(str(path)).mesh


def test_it_is_that_of_both_graphs(tmp_path):
    seen = holds_for(random.Random(SEED), CHANGES, tmp_path)
    kinds = ("opened", "closed", "more", "uncalled", "narrowed", "quiet")
    assert min(seen[each] for each in kinds) > 3, seen


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"rewrite": {"path": {"full": "/b"}}}, {"rewrite": {"path": {"full": "/a/b"}}}),
        ({"matches": [{"path": {"exact": "/b"}}]}, {"matches": [{"path": {"prefix": "/a"}}]}),
        ({"respond": {"status": 204}}, {}),
    ],
)
def test_one_word_of_a_route_lets_somebody_in(before, after, tmp_path):
    """What random changes seldom change by itself."""
    allow = [{"from": ["s0"], "paths": [{"exact": "/a/b"}]}]
    sides = [
        {
            "mesh": {"authorization": {"mode": "open"}},
            "services": {
                "s0": {"calls": {"s1": {}}},
                "s1": {"calls": {}, "allow": allow, "routes": [{"name": "r0"} | words]},
            },
        }
        for words in (before, after)
    ]
    seen: Counter[str] = Counter()
    old, new = (compiled(each, tmp_path) for each in sides)
    assert old is not None
    assert new is not None
    made = pipeline.change_between(old, new)
    _agrees(Oracle(sides[0]), Oracle(sides[1]), made, json.dumps(sides), seen)
    assert seen["opened"] == 1


@pytest.mark.soak
def test_it_is_so_of_any_for_long(tmp_path):
    end = time.monotonic() + soak_seconds(0.3)
    while time.monotonic() < end:
        seed = random.SystemRandom().randrange(1 << 32)
        print(f"reach difference: seed {seed}")
        holds_for(random.Random(seed), 20, tmp_path)


def holds_for(draw: random.Random, changes: int, folder) -> Counter[str]:
    """Of so many changes, each there and back; what was seen how often."""
    seen: Counter[str] = Counter()
    while changes:
        old = drawn(draw)
        new = changed(draw, old)
        first, last = (compiled(each, folder) for each in (old, new))
        if first is None or last is None:
            seen["refused"] += 1
            continue
        changes -= 1
        shown, was, now = json.dumps([old, new]), Oracle(old), Oracle(new)
        _agrees(was, now, pipeline.change_between(first, last), shown, seen)
        _agrees(now, was, pipeline.change_between(last, first), shown, seen)
    return seen


def _agrees(before: Oracle, after: Oracle, made: MeshChange, shown: str, seen: Counter[str]) -> None:
    was, now = before.edges(), after.edges()
    told = Counter((each.caller, each.callee) for each in made.opened)
    assert max(told.values(), default=1) == 1, shown
    first = {(each.caller, each.callee) for each in made.opened if each.called and not each.more}
    assert {pair for pair in first if ANYBODY not in pair} == now - was, shown
    assert {*made.closed} == {pair for pair in was - now if pair[0] in after.services}, shown
    for each in made.opened:
        if each.more or not each.called:
            _is_new(before, after, each, shown)
        seen["more"] += each.more
        seen["uncalled"] += not each.called
    both = before.services.keys() & after.services.keys()
    for caller, callee in itertools.permutations(sorted(both), 2):
        newly = any(
            after.admits(callee, caller, asked) and not before.admits(callee, caller, asked)
            for asked in REQUESTS
        )
        assert not newly or {(caller, callee), (ANYBODY, callee)} & told.keys(), (caller, callee, shown)
    _narrows(before, after, made, shown, seen)
    seen.update({"opened": len(now - was), "closed": len(was - now), "quiet": was == now})


def _narrows(before: Oracle, after: Oracle, made: MeshChange, shown: str, seen: Counter[str]) -> None:
    """Of pairs of both meshes those are told that are refused something newly, each with something of it."""
    told = {each.pair: each for each in made.narrowed}
    assert len(told) == len(made.narrowed), shown
    for caller, callee in (before.edges() & after.edges()) | told.keys():
        less = [
            asked
            for asked in REQUESTS
            if before.admits(callee, caller, asked) and not after.admits(callee, caller, asked)
        ]
        assert bool(less) == ((caller, callee) in told), (caller, callee, shown)
        example = told[caller, callee].permission.example if less else None
        assert example is None or _asked(example) in less, (caller, callee, shown)
        assert not less or caller in made.callers, shown
        seen["narrowed"] += bool(less)
    assert {caller for caller, _ in made.closed} <= {*made.callers}, shown


def _asked(example: Example) -> Asked:
    path = example.url.partition("://")[2].partition("/")[2]
    return Asked(example.method, f"/{path}", tuple(value for _, value in example.headers))


def _is_new(before: Oracle, after: Oracle, each: Opened, shown: str) -> None:
    """The example of what somebody may do more is let in, and was not."""
    example = each.permission.example
    if each.caller == ANYBODY and (example is None or each.callee not in before.services):
        return  # `audit`, or whom rules let into what is new: that some name is not asked for is all
    asked = REQUESTS[0] if example is None else _asked(example)
    callers = [STRANGER, *after.services] if each.caller == ANYBODY else [each.caller]
    assert any(
        after.admits(each.callee, caller, asked) and not before.admits(each.callee, caller, asked)
        for caller in callers
    ), (each, shown)
