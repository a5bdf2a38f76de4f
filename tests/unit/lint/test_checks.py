"""The analyses of the call graph: exact on graphs where everything can be tried, quick on large ones."""

import itertools
import random
from datetime import timedelta
from math import prod

import pytest

from meshctl.lint.checks import CHECKS
from meshctl.lint.checks.graph import components, cut_off
from meshctl.lint.checks.retry_amplification import tries
from meshctl.lint.facts import CallFacts, MeshFacts, ServiceFacts, World

RETRY = ("gateway-error",)


def world(calls, **instances):
    names = {name for each in calls for name in (each.caller, each.callee)} | set(instances)
    services = {
        name: ServiceFacts(
            name=name,
            instances=instances.get(name, 2),
            labels={"protected": "true"},
            capacity={f"z{number % 9}": "100"},
        )
        for number, name in enumerate(sorted(names))
    }
    return World(MeshFacts(gateways=tuple(sorted(names)[:1])), services, (), tuple(calls))


def call(caller, callee, attempts=0, timeout=1.0):
    return CallFacts(
        caller,
        callee,
        timeout=timedelta(seconds=timeout),
        attempts=attempts,
        retry_on=RETRY if attempts else (),
    )


def run(name, of, **params):
    return list(CHECKS[name].run(of, params))


def acyclic(seed, size=7, density=0.5):
    chance = random.Random(seed)
    return [
        call(f"s{a}", f"s{b}", attempts=chance.choice([0, 1, 2, 3]))
        for a, b in itertools.combinations(range(size), 2)
        if chance.random() < density
    ]


def worst_by_trial(calls):
    """The largest product over all paths, by walking every one of them."""
    made: dict[str, list[CallFacts]] = {}
    for each in calls:
        made.setdefault(each.caller, []).append(each)

    def onward(name):
        return max((tries(each) * onward(each.callee) for each in made.get(name, ())), default=1)

    return max((onward(each.caller) for each in calls), default=1)


@pytest.mark.parametrize("seed", range(60))
def test_the_worst_path_is_the_worst(seed):
    calls = acyclic(seed)
    worst = worst_by_trial(calls)
    found = run("retry-amplification", world(calls), limit=9)
    assert bool(found) == (worst > 9)
    if found:
        assert max(int(each.values["number"]) for each in found) == worst
    by_pair = {(each.caller, each.callee): each for each in calls}
    for each in found:
        path = each.values["path"].split(" → ")
        assert prod(tries(by_pair[pair]) for pair in itertools.pairwise(path)) == int(each.values["number"])
        assert (path[0], path[-1]) == (each.values["first"], each.values["last"])


def test_a_cycle_with_retries_is_told_once_and_paths_through_cycles_are_found():
    calls = [
        call("in", "a", 3),
        call("a", "b"),
        call("b", "a"),
        call("b", "out", 3),
        call("x", "y", 1),
        call("y", "x", 1),
    ]
    cycle, path = run("retry-amplification", world(calls), limit=9)
    assert cycle.values["path"] in ("x → y → x", "y → x → y")
    assert cycle.values["number"].startswith("4 each time round")
    assert path.values == {"path": "in → a → b → out", "first": "in", "last": "out", "number": "16"}


def test_a_circle_of_retries_is_told_once():
    circle = [call(f"s{n:03}", f"s{(n + 1) % 578:03}", 1) for n in range(578)]
    above = [call("in", "s000", 2), call("s007", "out", 1)]
    first, second = run("retry-layers", world([*circle, *above]))
    assert first.values["lower"] == "s000 → s001"
    assert str(first.values["more"]).startswith(
        ", and so do 577 more calls among these services: s001 → s002, "
    )
    assert (second.values["lower"], second.values["more"]) == ("s007 → out", "")


@pytest.mark.parametrize(("below", "told", "not_told"), [(100, 100, 0), (101, 100, 1), (350, 100, 250)])
def test_calls_that_are_not_told_are_counted(below, told, not_told):
    calls = [call("in", "a", 1), *(call("a", f"s{n:03}", 1) for n in range(below))]
    found = run("retry-layers", world(calls))
    assert len(found) == told
    assert not any(each.values["more"] for each in found[:-1])
    assert found[-1].values["more"] == (f"; {not_told} more such calls are not told" if not_told else "")


def test_a_long_path_is_shortened_in_the_message():
    calls = [call(f"s{n:02}", f"s{n + 1:02}", 1) for n in range(29)]
    (found,) = run("retry-amplification", world(calls), limit=9)
    assert found.values["number"] == str(2**29)
    assert "(18 more: " in found.values["path"]


def least_left(calls, name):
    """The least that any path leaves to ``name``, by walking every one of them."""
    into: dict[str, list[CallFacts]] = {}
    for each in calls:
        into.setdefault(each.callee, []).append(each)

    def least(service):
        return min(
            (min(each.timeout, least(each.caller)) for each in into.get(service, ())), default=timedelta.max
        )

    return least(name)


@pytest.mark.parametrize("seed", range(60))
def test_an_inversion_is_told_with_what_is_left(seed):
    chance = random.Random(seed)
    calls = [
        call(each.caller, each.callee, timeout=chance.choice([1, 2, 3, 5]))
        for each in acyclic(seed, density=0.4)
    ]
    found = run("timeout-budget-inversion", world(calls))
    inverted = {(c.caller, c.callee) for c in calls if c.timeout > least_left(calls, c.caller)}
    told = {(each.values["caller"], each.values["callee"]) for each in found}
    assert told <= inverted
    assert bool(told) == bool(inverted)
    by_pair = {(each.caller, each.callee): each for each in calls}
    for each in found:
        assert each.values["left"] == least_left(calls, each.values["caller"])
        path = each.values["path"].split(" → ")
        *before, last = [by_pair[pair] for pair in itertools.pairwise(path)]
        assert (
            min(hop.timeout for hop in before) == each.values["left"] < last.timeout == each.values["timeout"]
        )


def undirected(seed, size=8):
    chance = random.Random(seed)
    graph: dict[int, set[int]] = {n: set() for n in range(size)}
    for a, b in itertools.combinations(range(size), 2):
        if chance.random() < 0.25:
            graph[a].add(b)
            graph[b].add(a)
    return {str(n): sorted(map(str, others)) for n, others in graph.items()}


def parts_without(graph, gone):
    left = set(graph) - {gone}
    count = 0
    while left:
        count += 1
        front = {left.pop()}
        while front:
            front = {each for node in front for each in graph[node]} & left
            left -= front
    return count


@pytest.mark.parametrize("seed", range(60))
def test_articulation_points_are_those_without_which_there_are_more_parts(seed):
    graph = undirected(seed)
    whole = parts_without(graph, "none")
    assert set(cut_off(graph)) == {name for name in graph if parts_without(graph, name) > whole}


@pytest.mark.parametrize("seed", range(60))
def test_components_are_those_that_reach_each_other(seed):
    chance = random.Random(seed)
    graph = {str(a): [str(b) for b in range(7) if chance.random() < 0.2] for a in range(7)}

    def reached(start):
        seen, front = {start}, [start]
        while front:
            front = [each for node in front for each in graph[node] if each not in seen]
            seen.update(front)
        return seen

    reach = {name: reached(name) for name in graph}
    expected = {frozenset(b for b in reach[a] if a in reach[b]) for a in graph}
    found = components(graph)
    assert {frozenset(each) for each in found} == expected
    order = {name: number for number, part in enumerate(found) for name in part}
    assert all(order[a] >= order[b] for a in graph for b in graph[a])
