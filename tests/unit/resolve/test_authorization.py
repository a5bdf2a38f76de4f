"""Who is let in, in every mode: the rules that a callee's sidecar gets."""

from __future__ import annotations

import pytest

from meshctl import ir
from meshctl.resolve import resolve
from tests.unit.resolve.specs import read, resolved, sidecar, slugs

MESH = """
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {catalog: {}}}
  job: {port: 80, endpoints: [{address: 10.0.0.2}], calls: {catalog: {}}}
  spy: {port: 80, endpoints: [{address: 10.0.0.3}]}
  catalog: {port: 80, endpoints: [{address: 10.0.0.4}]%s}
gateways:
  edge: {port: 8080, calls: {catalog: {}}}
"""
MODES = {
    "declared": "",
    "explicit": ", authorization: {mode: explicit}",
    "open": ", authorization: {mode: open}",
}


def authorization(tmp_path, mode: str, rules: str) -> ir.Authorization:
    inbound = sidecar(resolved(tmp_path, MESH % rules, MODES[mode]), "catalog").inbound
    assert inbound is not None
    return inbound.authorization


def told(rules: tuple[ir.AuthorizationRule, ...]) -> list[str]:
    """A line a rule: who, what, where."""
    lines = []
    for rule in rules:
        who = "anyone" if rule.anyone else " ".join(each.service for each in rule.principals)
        paths = [each.value for each in rule.paths]
        headers = [f"{each.name}={each.value}" for each in rule.headers]
        lines.append(" ".join((who, *rule.methods, *paths, *headers)))
    return lines


@pytest.mark.parametrize(
    ("mode", "allow", "let_in"),
    [
        ("declared", "", ["edge job web"]),
        ("declared", ", allow: []", []),
        ("declared", ", allow: [{from: [web]}]", ["web"]),
        ("declared", ", allow: [{from: [web, spy]}]", ["web"]),
        ("declared", ", allow: [{from: [spy]}]", []),
        ("declared", ", allow: [{from: ['*'], methods: [HEAD, GET]}]", ["edge job web GET HEAD"]),
        ("declared", ", allow: [{methods: [GET]}]", ["edge job web GET"]),
        ("declared", ", allow: [{from: [web], methods: [GET]}, {from: [edge], methods: [GET]}]", ["edge web GET"]),
        ("explicit", "", []),
        ("explicit", ", allow: []", []),
        ("explicit", ", allow: [{from: [spy]}]", ["spy"]),
        ("explicit", ", allow: [{from: ['*']}]", ["anyone"]),
        ("explicit", ", allow: [{paths: [{prefix: /a/}]}]", ["anyone /a"]),
        ("explicit", ", allow: [{from: [web]}, {from: [edge, '*']}]", ["anyone"]),
        ("open", "", ["anyone"]),
        ("open", ", allow: []", []),
        ("open", ", allow: [{from: [spy], headers: {X-A: '1'}}]", ["spy x-a=1"]),
    ],
)  # fmt: skip
def test_who_is_let_in(tmp_path, mode, allow, let_in):
    assert told(authorization(tmp_path, mode, allow).rules) == let_in


@pytest.mark.parametrize("mode", MODES)
def test_a_denial_without_callers_is_for_everybody(tmp_path, mode):
    found = authorization(
        tmp_path, mode, ", deny: [{paths: [{prefix: /admin}]}, {from: [spy]}, {from: ['*'], methods: [PUT]}]"
    )
    assert told(found.deny) == ["anyone /admin", "spy", "anyone PUT"]


@pytest.mark.parametrize(
    ("mode", "rules", "exempt"),
    [
        ("declared", ", healthPath: /h", []),
        ("declared", ", healthPath: /h, allow: []", ["edge job web GET HEAD /h"]),
        ("declared", ", healthPath: /h, deny: [{from: [web]}]", ["edge job web GET HEAD /h"]),
        ("declared", ", allow: []", []),
        ("explicit", ", healthPath: /h", ["edge job web GET HEAD /h"]),
        ("open", ", healthPath: /h", []),
        ("open", ", healthPath: /h, allow: []", ["anyone GET HEAD /h"]),
    ],
)
def test_the_health_path_is_for_declared_callers_whatever_the_rules(tmp_path, mode, rules, exempt):
    assert told(authorization(tmp_path, mode, rules).exempt) == exempt


@pytest.mark.parametrize(("mesh", "audit"), [("", False), (", authorization: {audit: true}", True)])
def test_audit(tmp_path, mesh, audit):
    inbound = sidecar(resolved(tmp_path, MESH % "", mesh), "catalog").inbound
    assert inbound is not None
    assert inbound.authorization.audit is audit


@pytest.mark.parametrize(
    ("mode", "rules", "slug", "times"),
    [
        ("declared", ", allow: [{from: [spy]}]", "rule-without-call", 1),
        ("declared", ", allow: [{from: [web]}]", "rule-without-call", 0),
        ("explicit", ", allow: [{from: [spy]}]", "rule-without-call", 0),
        ("declared", ", allow: [{from: [web]}]", "call-without-grant", 2),
        ("declared", "", "call-without-grant", 0),
        ("explicit", "", "call-without-grant", 3),
        ("explicit", ", allow: [{from: [web, edge]}]", "call-without-grant", 1),
        ("explicit", ", allow: [{methods: [GET]}]", "call-without-grant", 0),
        ("open", ", allow: []", "call-without-grant", 3),
    ],
)
def test_rules_and_calls_that_do_not_meet(tmp_path, mode, rules, slug, times):
    assert slugs(resolve(read(tmp_path, MESH % rules, MODES[mode]))).count(slug) == times


def test_rules_of_a_route_on_to_another_service_know_who_takes_it(tmp_path):
    text = """
    services:
      web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {catalog: {}}}
      job: {port: 80, endpoints: [{address: 10.0.0.2}], calls: {catalog: {}}}
      catalog:
        port: 80
        endpoints: [{address: 10.0.0.3}]
        routes: [{name: a, matches: [{path: {prefix: /a}, from: [web]}], backends: [{service: stock}]}, {name: rest}]
      stock: {port: 80, endpoints: [{address: 10.0.0.4}]}
    """
    inbound = sidecar(resolved(tmp_path, text), "stock").inbound
    assert inbound is not None
    assert told(inbound.authorization.rules) == ["web"]
