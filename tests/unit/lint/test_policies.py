"""The built-in policies do what their own tests say, and faults of policy files are found at their places."""

import re
from datetime import date
from pathlib import Path

import pytest
from msgspec.structs import replace

from meshctl import lint, pipeline
from meshctl.lint import engine
from meshctl.lint.cel import compile_expression, variables_of
from meshctl.lint.checks import CHECKS, Check, Violation
from meshctl.lint.literals import type_of
from meshctl.lint.policy import BuiltIn
from meshctl.load import read_yaml
from meshctl.pipeline.policy_cases import compare_case

ROOT = Path(__file__).resolve().parents[3]
POLICIES = sorted((ROOT / "policies").glob("*.yaml"))

GOOD = """\
apiVersion: meshctl.dev/v1
kind: Policy
code: ACME0001
slug: has-owner
title: Services have owners
why: Somebody must be called at night.
severity: warning
select: {kind: service, where: "!(service.name in params.free)"}
assert: service.owner != ''
params: {free: [probe]}
message: "{{ service.name }} has no owner"
at: service.owner
fix: Write an owner.
tests:
  - {name: owned, given: {service: {name: a, owner: b}}, expect: pass}
  - {name: free, given: {service: {name: probe}}, expect: pass}
  - {name: not owned, given: {service: {name: a}}, expect: fail}
"""


def read(text, name="p.yaml"):
    return lint.read_policies({name: read_yaml(text.encode(), name)})


def builtin(*, proven=False):
    files = {path.name: read_yaml(path.read_bytes(), path.name) for path in POLICIES}
    return lint.read_policies(files, proven=proven)


def test_the_built_in_policies_can_be_read():
    rules = builtin()
    assert not rules.findings
    assert len(rules.policies) == len(POLICIES)


def test_the_tests_of_the_built_in_policies_pass():
    assert list(lint.run_tests(builtin(), compare_case)) == []


def test_what_is_compiled_late_answers_alike():
    rules, late = builtin(), builtin(proven=True)
    assert [replace(each, body=None, tests=()) for each in late.policies] == [
        replace(each, body=None, tests=()) for each in rules.policies
    ]
    pairs = zip(late.policies, rules.policies, strict=True)
    with_cases = tuple(replace(each, tests=whole.tests) for each, whole in pairs)
    assert list(lint.run_tests(replace(late, policies=with_cases), compare_case)) == []


def test_lint_tells_every_fault_of_policies_of_ones_own(tmp_path):
    """Also where the mesh has nothing that the rule would ask about, and of the cases, which it does not run."""
    (tmp_path / "own").mkdir()
    for old, new, message in (
        ("service.owner != ''", "service.ownr != ''", "undeclared reference"),
        ("expect: fail", "expect: no", "`expect` is `pass` or `fail`"),
        ("code: ACME0001", "code: MSH3101", "`MSH3101` is another rule's already"),
    ):
        (tmp_path / "own" / "p.yaml").write_text(GOOD.replace(old, new), "utf-8")
        (tmp_path / "mesh.yaml").write_text(
            "apiVersion: meshctl.dev/v1\nmesh: {name: a, domain: a.mesh, trustDomain: a.example}\n", "utf-8"
        )
        linted = pipeline.lint(str(tmp_path / "mesh.yaml"), today=date(2026, 1, 1), policies=tmp_path / "own")
        assert any(message in each.message for each in linted.findings), message


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.name)
def test_a_file_is_named_after_its_slug(path):
    (policy,) = read(path.read_text("utf-8")).policies
    assert policy.slug == path.stem


def mutants(rules, policy):
    """The policy with its logic broken in one place each."""
    if isinstance(policy.body, BuiltIn):
        check = CHECKS[policy.body.name]
        values = dict.fromkeys(check.values, "")
        yield "finds nothing", policy, Check(lambda world, params: iter(()), check.params, check.values)
        always = Check(lambda world, params: iter((Violation(None, values),)), check.params, check.values)
        yield "always finds", policy, always
        return
    body = policy.body
    variables = variables_of(body.kind) | {
        f"params.{name}": type_of(each) for name, each in policy.params.items()
    }

    def compiled(text):
        return compile_expression(text, variables, rules.lookup)

    text = body.holds.text
    for broken in (f"!({text})", "true", "false"):
        yield broken, replace(policy, body=replace(body, holds=compiled(broken))), None
    for sign, other in (
        ("&&", "||"),
        ("||", "&&"),
        ("<=", "<"),
        (">=", ">"),
        (" < ", " <= "),
        (" > ", " >= "),
        ("==", "!="),
    ):
        for found in re.finditer(re.escape(sign), text):
            broken = text[: found.start()] + other + text[found.end() :]
            yield broken, replace(policy, body=replace(body, holds=compiled(broken))), None
    if body.where is not None:
        yield "no where", replace(policy, body=replace(body, where=None)), None
        denied = replace(body, where=compiled(f"!({body.where.text})"))
        yield "where denied", replace(policy, body=denied), None


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_a_mutation_of_a_rule_turns_a_case_red(path, monkeypatch):
    rules = read(path.read_text("utf-8"))
    (policy,) = rules.policies
    survived = []
    for name, mutant, check in mutants(rules, policy):
        with monkeypatch.context() as patched:
            if check is not None:
                patched.setattr(engine, "CHECKS", {policy.body.name: check})
            if not list(lint.run_tests(replace(rules, policies=(mutant,)), compare_case)):
                survived.append(name)
    assert not survived


def test_a_wrong_test_of_a_policy_is_told():
    rules = read(GOOD.replace("given: {service: {name: probe}}", "given: {service: {name: other}}"))
    assert not rules.findings
    (failed,) = lint.run_tests(rules, compare_case)
    assert (failed.policy, failed.name, failed.at.line) == ("has-owner", "free", 16)
    assert "should pass, but finds: other has no owner" in failed.message


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        ("service.owner != ''", "service.ownr != ''", (9, 16), "undeclared reference to 'service.ownr'"),
        ("service.owner != ''", "service.owner != 3", (9, 23), "no matching overload"),
        ("service.owner != ''", "service.owner", (9, 9), "must answer true or false"),
        ("service.owner != ''", "has(service.owner)", (9, 9), "must answer true or false"),
        ("service.owner != ''", "service.owner !=", (9, 25), "Syntax error"),
        ("service.owner != ''", "[1]", (9, 9), "`assert` must be an expression"),
        ("in params.free", "in params.fre", (8, 57), "undeclared reference to 'params.fre'"),
        (
            "kind: service",
            "kind: sidecar",
            (8, 10),
            "one of mesh, service, route, match, call, external, change",
        ),
        (
            "kind: service",
            "kind: {a: b}",
            (8, 10),
            "one of mesh, service, route, match, call, external, change",
        ),
        ("expect: pass", "expect: {a: b}", (15, 5), "`expect` is `pass` or `fail`"),
        ("{{ service.name }}", "{{ service.nmae }}", (11, 10), "there is no `service.nmae` here"),
        ("at: service.owner", "at: route.name", (12, 5), "must begin with `service`"),
        ("severity: warning", "severity: bad", (7, 11), "one of error, warning, info"),
        ("code: ACME0001", "code: '1'", (3, 7), "letters and four digits"),
        ("code: ACME0001", "code: MSH1001", (4, 1), "`MSH1001` is another rule's already"),
        ("slug: has-owner", "slug: unknown-key", (4, 1), "`unknown-key` is another rule's already"),
        ("why:", "reason:", (6, 1), "`reason` is not a key of a policy"),
        ("expect: fail", "expect: pass", (14, 1), "a case that passes and one that fails"),
        ("{name: a, owner: b}", "{name: a, owenr: b}", (15, 5), "`owenr` is not one of"),
        ("{name: a, owner: b}", "{name: a, instances: b}", (15, 5), "must be a whole number"),
        ("kind: Policy", "kind: Mesh", (2, 7), "must be `Policy`"),
        ("fix: Write an owner.\n", "", (1, 1), "missing from this policy: fix"),
        ("assert: service.owner != ''", "check: no-such-check", (9, 8), "must be one of ambiguous-overlap"),
        ("assert:", "check: retry-amplification\nassert:", (9, 1), "either an `assert` or a `check`"),
    ],
)
def test_a_fault_is_found_at_its_place(old, new, place, message):
    assert old in GOOD
    rules = read(GOOD.replace(old, new, 1))
    assert any((each.at.line, each.at.column) == place for each in rules.findings), rules.findings
    assert message in " ".join(each.message for each in rules.findings)
    assert {each.slug for each in rules.findings} == {"policy-invalid"}


@pytest.mark.parametrize("text", ["", "- a\n", "a\n"])
def test_a_file_that_is_no_mapping(text):
    (found,) = read(text).findings
    assert str(found.at) == "p.yaml:1:1"


def test_a_check_takes_exactly_its_params():
    text = (ROOT / "policies" / "retry-amplification.yaml").read_text("utf-8")
    for params in ("params: {limt: 9}\n", "params: {limit: 9s}\n", ""):
        (found,) = read(
            text.replace("params: {limit: 9}\n", params).replace("{{ params.limit }}", "")
        ).findings
        assert "the params of `retry-amplification` are: limit (a whole number)" in found.message


def lines(findings):
    return [f"{each.at.line} {each.slug}{' waived' if each.waived else ''}" for each in findings]


MESH = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
defaults: {timeout: 2s}
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {orders: {}}, labels: {tier: edge}}
  orders: {port: 80, endpoints: [{address: 10.0.0.2}], owner: o}
"""


def run(tmp_path, mesh, *policies, today=date(2026, 1, 1)):
    (tmp_path / "own").mkdir()
    for number, text in enumerate(policies):
        (tmp_path / "own" / f"{number}.yaml").write_text(text, "utf-8")
    (tmp_path / "mesh.yaml").write_text(mesh, "utf-8")
    return pipeline.lint(str(tmp_path / "mesh.yaml"), today=today, policies=tmp_path / "own").findings


def test_a_policy_of_the_teams_own_finds_and_points(tmp_path):
    found = run(tmp_path, MESH, GOOD)
    assert lines(found) == ["5 has-owner"]
    assert found[0].message == "web has no owner"
    assert (found[0].code, found[0].severity.value) == ("ACME0001", "warning")


def test_functions_look_into_the_mesh(tmp_path):
    rule = GOOD.replace(
        "service.owner != ''",
        "callers(service.name).all(c, svc(c).owner != '' && ms(svc(c).limitPer) == 0) && ms('1m') == 60000",
    ).replace("{service: {name: a, owner: b}}", "{service: {name: a}}")
    rule = rule.replace(
        "given: {service: {name: a}}, expect: fail",
        "given: {services: [{name: a, callers: [b]}, {name: b}]}, expect: fail",
    )
    found = run(tmp_path, MESH, rule)
    assert lines(found) == ["6 has-owner"]


def test_a_rule_without_an_answer_fails_closed(tmp_path):
    found = run(tmp_path, MESH, GOOD.replace("service.owner != ''", "service.labels['tier'] == 'edge'"))
    assert lines(found) == ["6 policy-error"]
    assert "could not be decided for this service: " in found[0].message
    assert found[0].is_error


def test_an_endless_rule_is_stopped(tmp_path):
    many = ", ".join(map(str, range(200)))
    loop = f"[{many}].all(a, [{many}].all(b, [{many}].all(c, a + b + c >= 0)))"
    found = run(tmp_path, MESH, GOOD.replace("service.owner != ''", f'"{loop}"'))
    assert {each.slug for each in found} == {"policy-error"}


def test_a_faulty_policy_does_not_silence_the_others(tmp_path):
    found = run(tmp_path, MESH, GOOD, GOOD.replace("has-owner", "other").replace("!= ''", "!= 1"))
    assert {each.slug for each in found} == {"policy-invalid", "has-owner"}


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("{has-owner: {severity: error}}", ["error 5 has-owner"]),
        ("{has-owner: {severity: grave}}", ["error 7 invalid-value", "warning 5 has-owner"]),
        ("{has-owner: {free: [web, orders]}}", []),
        ("{has-owner: {free: 3}}", ["error 7 invalid-value", "warning 5 has-owner"]),
        ("{has-owner: {fre: [web]}}", ["error 7 unknown-key", "warning 5 has-owner"]),
        ("{has-ower: {severity: error}}", ["error 7 undefined-reference", "warning 5 has-owner"]),
        ("{unknown-key: {severity: info}}", ["error 7 undefined-reference", "warning 5 has-owner"]),
    ],
)
def test_the_spec_configures_rules(tmp_path, rules, expected):
    found = run(tmp_path, f"{MESH}lint: {{rules: {rules}}}\n", GOOD)
    assert sorted(f"{each.severity.value} {each.at.line} {each.slug}" for each in found) == sorted(expected)


WAIVE = "    waive: [{finding: SLUG, reason: r, owner: o, until: 2026-02-01}]\n"
WEB = """\
  web:
    port: 80
    endpoints: [{address: 10.0.0.1}]
    calls: {orders: {}}
"""


@pytest.mark.parametrize(
    ("slug", "today", "expected"),
    [
        ("has-owner", date(2026, 1, 1), ["5 has-owner waived"]),
        ("has-owner", date(2026, 2, 1), ["5 has-owner waived"]),
        ("has-owner", date(2026, 2, 2), ["5 has-owner waived", "9 expired-waiver"]),
        ("has-owner", date(2025, 8, 1), ["5 has-owner waived", "9 distant-waiver"]),
        ("missing-timeout", date(2026, 1, 1), ["5 has-owner", "9 unused-waiver"]),
        ("has-ownr", date(2026, 1, 1), ["5 has-owner", "9 undefined-reference"]),
        # An error of meshctl's own is never waived.
        ("policy-invalid", date(2026, 1, 1), ["5 has-owner", "9 unused-waiver"]),
    ],
)
def test_waivers(tmp_path, slug, today, expected):
    mesh = MESH.replace(MESH.splitlines(keepends=True)[4], WEB + WAIVE.replace("SLUG", slug))
    found = run(tmp_path, mesh, GOOD.replace("severity: warning", "severity: error"), today=today)
    assert lines(found) == expected


def test_the_mesh_can_waive_for_all(tmp_path):
    waive = "mesh: {waive: [{finding: has-owner, reason: r, owner: o, until: 2026-02-01}], name"
    assert lines(run(tmp_path, MESH.replace("mesh: {name", waive), GOOD)) == ["5 has-owner waived"]


def test_validate_tells_an_expired_waiver_and_build_does_not(tmp_path):
    mesh = MESH.replace(MESH.splitlines(keepends=True)[4], WEB + WAIVE.replace("SLUG", "has-owner"))
    path = tmp_path / "mesh.yaml"
    path.write_text(mesh, "utf-8")
    told = pipeline.validate(str(path), today=date(2027, 1, 1))
    assert lines(told.findings) == ["9 expired-waiver"]
    assert told.mesh is not None
    assert pipeline.validate(str(path)).findings == ()
