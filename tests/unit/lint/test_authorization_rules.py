"""What lint says of rules of authorization: proved by requests, so an example for each way to be wrong."""

from __future__ import annotations

import random
import time
from datetime import date

import pytest

from meshctl import pipeline
from meshctl.ir.canonical import refusal
from meshctl.lint.automata import alternatives, exact, shortest
from meshctl.lint.canonical_paths import canonical_paths
from meshctl.lint.checks import CHECKS
from meshctl.lint.facts import MeshFacts, RuleFacts, World

MESH = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {orders: {}}}
  batch: {port: 80, endpoints: [{address: 10.0.0.3}], calls: {orders: {}}}
  orders:
    port: 80
    endpoints: [{address: 10.0.0.2}]
"""
OURS = ("policy-shadowed-by-deny", "misread-path")


def found(tmp_path, rules):
    (tmp_path / "mesh.yaml").write_text(MESH + rules, "utf-8")
    findings = pipeline.lint(str(tmp_path / "mesh.yaml"), today=date(2026, 1, 1)).findings
    return sorted(
        (each.at.line, each.severity.value, each.message.removeprefix("`orders`: "))
        for each in findings
        if each.slug in OURS
    )


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("    allow: [{from: [web]}]\n    deny: [{from: [batch]}]\n", []),
        ("    deny: [{from: ['*'], paths: [{prefix: /admin}]}]\n", []),
        (
            "    deny: [{from: ['*']}]\n",
            [(9, "warning", "batch, web would be let in, but all that they can ask is denied")],
        ),
        (
            "    deny: [{from: [web]}]\n",
            [(9, "warning", "web would be let in, but all that they can ask is denied")],
        ),
        (
            "    allow:\n      - {from: ['*'], methods: [GET]}\n      - {from: [web], paths: [{prefix: /a/b}]}\n    deny: [{paths: [{prefix: /a}]}]\n",
            [(11, "warning", "this rule lets nobody in, for all that it allows is denied")],
        ),
        (
            "    allow:\n      - {from: [web, batch], methods: [PUT]}\n    deny: [{from: [batch], methods: [PUT]}]\n",
            [(10, "warning", "this rule does nothing for batch, for all that it allows them is denied")],
        ),
        (
            "    allow:\n      - {from: [web], headers: {x-a: b}}\n    deny: [{headers: {x-a: {present: true}}}]\n",
            [(10, "warning", "this rule lets nobody in, for all that it allows is denied")],
        ),
        (
            "    deny:\n      - {from: [web], paths: [{exact: /admin}, {exact: /}]}\n",
            [
                (
                    10,
                    "info",
                    "`/admin` is denied and `GET /admin/` is let in, which many applications take for the same",
                )
            ],
        ),
        ("    deny:\n      - {from: [web], paths: [{exact: /admin}, {exact: /admin/}]}\n", []),
        (
            "    deny:\n      - {paths: [{regex: '/admin(/.*)?|/admin%2f.*|//admin'}]}\n",
            [
                (10, "warning", f"no path fits `{part}` of `/admin(/.*)?|/admin%2f.*|//admin`, for paths that are not canonical are refused before")
                for part in ("//admin", "/admin%2f.*")
            ],
        ),
        (
            "    routes: [{name: a, matches: [{path: {regex: '/a/\\.\\./b'}}]}]\n",
            [
                (9, "warning", "no path fits `/a/\\.\\./b`, for paths that are not canonical are refused before"),
            ],
        ),
    ],
)  # fmt: skip
def test_what_is_found(tmp_path, rules, expected):
    assert found(tmp_path, rules) == expected


def test_a_first_route_that_no_canonical_path_fits_is_dead(tmp_path):
    (tmp_path / "mesh.yaml").write_text(
        MESH + "    routes: [{name: a, matches: [{path: {regex: '/a//b'}}]}]\n", "utf-8"
    )
    findings = pipeline.lint(str(tmp_path / "mesh.yaml"), today=date(2026, 1, 1)).findings
    (dead,) = [each for each in findings if each.slug == "dead-route"]
    assert dead.message == "route `a` of `orders` gets no request: no canonical path fits it"


def test_the_automaton_takes_what_the_gate_lets_through():
    chance = random.Random(7)
    letters = "/./.;%%2fF5eE0c ab~#?\\"
    taken = 0
    for _ in range(1500):
        path = "/" + "".join(chance.choice(letters) for _ in range(chance.randrange(7)))
        if " " in path or "?" in path:
            continue
        let_through = refusal(path) is None
        taken += let_through
        assert (shortest((canonical_paths(), exact(path)), ()) == path) == let_through, path
    assert taken > 100


@pytest.mark.parametrize(
    ("pattern", "parts"),
    [("/a", ["/a"]), ("a|b", ["a", "b"]), ("(a|b)|c", ["(a|b)", "c"]), (r"a\||[|]|(?:x|y)z|", [r"a\|", "[|]", "(?:x|y)z", ""])],
)  # fmt: skip
def test_alternatives(pattern, parts):
    assert alternatives(pattern) == parts


@pytest.mark.parametrize("name", ["shadowed-rule", "misread-path"])
def test_many_rules_take_no_long_time(name):
    """Rules against which many others stand, for callers each of whom others are about."""
    callers = tuple(f"c{number}" for number in range(60))
    deny = [
        RuleFacts(
            service="a", effect="deny", callers=callers[n // 2 : n // 2 + 30], paths=(f"exact /x{n}", f"regex /[a-m]*{n}/.*")
        )
        for n in range(60)
    ]  # fmt: skip
    allow = [RuleFacts(service="a", callers=callers, paths=(f"regex /[a-z]*{n}/[0-9]+",)) for n in range(60)]
    begun = time.perf_counter()
    list(CHECKS[name].run(World(MeshFacts(), {}, rules=(*allow, *deny)), {}))
    assert time.perf_counter() - begun < 20
