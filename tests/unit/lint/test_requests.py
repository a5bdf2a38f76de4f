"""Whether a request gets to a match: what the search says, and what the simulator does with requests at random."""

from __future__ import annotations

import pytest

from meshctl.lint.automata import UndecidedError, exact, prefix, regex, shortest
from meshctl.lint.checks import CHECKS
from meshctl.lint.facts import MatchFacts, MeshFacts, World
from meshctl.spec.regex import fault
from tests.seconds import soak_seconds
from tests.unit.lint.proving import PATHS, PATTERNS, VALUE_PATTERNS, VALUES, Prover, compare, compare_views
from tests.unit.lint.variants import path_of, variant

TEXTS = sorted(
    {
        text[:at] + more + text[at:]
        for text in (*PATHS, *VALUES, "/x/y", "aaa", "aaab", "ac", ".7", "/ite/1")
        for at in range(len(text) + 1)
        for more in ("", "a", "7", "/", "\u00e9")
    }
)
TABLES, REQUESTS, SOAK_REQUESTS = 80, 100, 300
SOAK_TABLES = 400
"""At least: with 300 requests each, and as many again of the views, they are more than 100,000 each."""


def test_a_dead_match_is_never_hit_and_a_witness_gets_to_its_route():
    counts = [compare(seed, REQUESTS) for seed in range(TABLES)]
    # Otherwise the test would say nothing.
    assert sum(dead for dead, _ in counts) > 40
    assert sum(every for _, every in counts) > 300


def test_what_is_dead_is_so_for_every_caller_on_every_host():
    counts = [compare_views(seed, REQUESTS) for seed in range(TABLES // 2)]
    assert sum(dead for dead, _ in counts) > 20


@pytest.mark.soak
def test_a_dead_match_is_never_hit_by_many_requests(record_property):
    tables = max(SOAK_TABLES, int(soak_seconds(1)) * 10)
    dead = sum(compare(1000 + seed, SOAK_REQUESTS)[0] for seed in range(tables))
    of_views = sum(compare_views(1000 + seed, SOAK_REQUESTS)[0] for seed in range(tables))
    told = f"dead routes: {tables} tables and {tables} meshes, {2 * tables * SOAK_REQUESTS:,} requests"
    record_property("told", f"{told}, {dead} and {of_views} dead matches")
    assert min(dead, of_views) > 100


MODULES = tuple(
    f"meshctl.lint.{name}"
    for name in ("automata", "conditions", "requests", "checks.tables", "checks.dead_route")
)
FAULTS = [
    (
        "automata",
        'characters("/"), EVERY]',
        'characters("/") | characters("b"), EVERY]',
    ),
    (
        "automata",
        "[end, end + 1, end + 2])",
        "[end + 1, end + 2])",
    ),
    (
        "automata",
        "[[number + 1] for number in range(len(text))] + [[]]",
        "[[number + 1] for number in range(len(text))] + [[len(text)]]",
    ),
    (
        "automata",
        "[*read.last, *([0] if read.empty else [])]",
        "[*read.last]",
    ),
    (
        "automata",
        "if onward not in came_from and all(onward[: len(wanted)])",
        "if onward not in came_from and all(onward)",
    ),
    (
        "automata",
        "bool(at & each.accepting) == (number < wanted)",
        "bool(at & each.accepting)",
    ),
    (
        "automata",
        "atom * least + optional",
        "atom * max(1, least - 1) + optional",
    ),
    (
        "conditions",
        'self.value in ("/", text) or text.startswith(f"{self.value}/")',
        "text.startswith(self.value)",
    ),
    (
        "conditions",
        'self.value in ("/", text) or text.startswith(f"{self.value}/")',
        'text.startswith(f"{self.value}/")',
    ),
    (
        "conditions",
        "compiled.fullmatch(text)",
        "compiled.search(text)",
    ),
    (
        "conditions",
        "return text in self.value.split()",
        "return self.value.startswith(text)",
    ),
    (
        "conditions",
        "if match.methods:",
        "if len(match.methods) > 1:",
    ),
    (
        "conditions",
        "sorted(match.query.items())",
        "sorted(match.query.items())[:1]",
    ),
    (
        "conditions",
        "sorted(match.headers.items())",
        "sorted(match.headers.items())[:1]",
    ),
    (
        "conditions",
        'if any(each.kind == "present" for each in unwanted):',
        "if unwanted:",
    ),
    (
        "conditions",
        "if any(map(each.takes, lines)):",
        "if lines:",
    ),
    (
        "conditions",
        "_one((each,), unwanted, _texts((each,))",
        "_one(wanted, unwanted, _texts((each,))",
    ),
    (
        "conditions",
        "for method in listed or (*_METHODS, other):",
        "for method in listed or _METHODS[:2]:",
    ),
    (
        "conditions",
        "and not any(each.takes(text) for each in unwanted)",
        "and (True or unwanted)",
    ),
    (
        "conditions",
        'if any(each.kind == "exact" for each in wanted):',
        "if wanted:",
    ),
    (
        "requests",
        "any(condition.takes(value) for each, value in self.headers if each == name)",
        "all(condition.takes(value) for each, value in self.headers if each == name)",
    ),
    (
        "requests",
        "any(condition.takes(value) for each, value in self.query if each == name)",
        "any(condition.takes(value) for each, value in self.query)",
    ),
    (
        "requests",
        "all(map(request.fulfils, match))",
        "any(map(request.fulfils, match))",
    ),
    (
        "requests",
        "(*denied, condition)",
        "(condition,)",
    ),
    (
        "requests",
        "for condition in self.avoided[hit]:",
        "for condition in self.avoided[hit][:1]:",
    ),
    (
        "requests",
        "if condition in asked:",
        "if condition.place in {each.place for each in asked}:",
    ),
    (
        "requests",
        "for each in asked if each.place == place",
        "for each in asked[:1] if each.place == place",
    ),
    (
        "requests",
        'dict.fromkeys(("path", "method", *(each.place for each in asked)))',
        'dict.fromkeys(("path", "method"))',
    ),
    (
        "requests",
        "self.in_the_way[hit] = None",
        "self.in_the_way[0] = None",
    ),
    (
        "checks.tables",
        "(each.service, each.callers, each.hostnames)",
        "(each.service, each.callers)",
    ),
    (
        "checks.tables",
        "(each.service, each.callers, each.hostnames)",
        "each.service",
    ),
    (
        "checks.dead_route",
        "covers.pop(key, None)",
        "pass",
    ),
    (
        "checks.dead_route",
        "alive.add(key)",
        "pass",
    ),
    (
        "checks.dead_route",
        "asked[:number], effort",
        "asked, effort",
    ),
    (
        "checks.dead_route",
        "if not number:",
        "if number:",
    ),
]
"""What could be wrong in the prover: a module, a part of its text, and what stands there instead."""


def is_noticed(prover):
    """Whether a comparison fails, or does not come to an end."""
    for seed in range(4 * TABLES):
        try:
            compare(seed, 40, prover)
            compare_views(seed, 40, prover)
        except Exception:  # noqa: BLE001 - of any kind
            return True
    return False


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        pytest.param(*each, marks=[pytest.mark.soak] if nth % 8 != 5 else [])
        for nth, each in enumerate(FAULTS)
    ],
    ids=range(len(FAULTS)),
)
def test_a_fault_of_the_prover_is_noticed(module, old, new):
    name = f"meshctl.lint.{module}"
    source = path_of(name).read_text("utf-8")
    assert source.count(old) == 1
    made = variant(MODULES, {name: source.replace(old, new)})
    prover = Prover(made["meshctl.lint.requests"], made["meshctl.lint.checks.dead_route"])
    assert is_noticed(prover)


@pytest.mark.parametrize(
    "pattern",
    [
        *PATTERNS,
        *VALUE_PATTERNS,
        "a{3}",
        "a{2,4}b",
        "a{2,}",
        "a{0,2}",
        "(a|b?)c",
        r"\.\d",
    ],
)
def test_an_automaton_takes_what_the_pattern_takes(pattern):
    import re2

    assert not fault(pattern)
    language = regex(pattern)
    taken = 0
    for text in TEXTS:
        agrees = shortest((exact(text), language), ()) is not None
        assert agrees == (re2.fullmatch(pattern, text) is not None), (pattern, text)
        taken += agrees
    assert taken


def test_prefixes_go_by_segments():
    assert shortest((prefix("/a"),), (exact("/a"), exact("/a/"))) in ("/a/a", "/a/0", "/a//")
    assert shortest((prefix("/a"), exact("/ab")), ()) is None


def test_what_is_too_large_is_not_decided():
    with pytest.raises(UndecidedError, match="too large"):
        regex("[a-z]{1001}")
    many = [
        MatchFacts(route=f"r{n}", path=f"regex /[a-{chr(98 + n % 20)}]*x{{{n + 1}}}[a-z]{{{n + 5}}}")
        for n in range(12)
    ]
    found = list(
        CHECKS["dead-route"].run(
            World(MeshFacts(), {}, matches=(*many, MatchFacts(route="last", path="regex /.*x.*"))), {}
        )
    )
    assert all(each.severity is not None for each in found)
    host = MatchFacts(route="b", headers={"host": "exact a"})
    (told,) = CHECKS["dead-route"].run(
        World(MeshFacts(), {}, matches=(MatchFacts(route="a", path="prefix /a"), host)), {}
    )
    assert "not found out" in str(told.values["how"])
