"""`meshctl who-can-reach`: who is there, by which way, by which line; and that the JSON is what its schema says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from meshctl.cli.app import run

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = Draft202012Validator(json.loads((ROOT / "schemas" / "reach.schema.json").read_text()))

SPEC = """\
apiVersion: meshctl.dev/v1
mesh:
  name: shop
  domain: shop.mesh
  trustDomain: shop.example
  jwt: {issuers: {idp: {issuer: "https://idp.example", audiences: [shop], jwks: keys.json}}}
defaults: {timeout: 5s}
gateways:
  edge:
    port: 8080
    endpoints: [{address: 10.0.0.9}]
    calls: {web: {}}
    routes: [{name: site, backends: [{service: web}]}]
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {orders: {}, books: {localPort: 15432}}}
  orders: {port: 80, endpoints: [{address: 10.0.0.2}], calls: {payments: {}, stripe: {}}}
  mailer: {port: 80, endpoints: [{address: 10.0.0.3}], calls: {payments: {}}}
  robot: {port: 80, endpoints: [{address: 10.0.0.4}], calls: {payments: {}}}
  payments:
    port: 80
    endpoints: [{address: 10.0.0.5}]
    healthPath: /healthz
    mtls: {mode: permissive, until: "2099-01-01"}
    allow:
      - {from: [orders], methods: [POST], paths: [{prefix: /charges}]}
      - {from: [orders], jwt: idp, claims: {role: clerk}, headers: {x-why: {present: true}}}
      - {from: [orders], paths: [{regex: "/v[0-9]+/x"}]}
      - {from: [mailer], paths: [{prefix: /charges/secret}]}
      - {from: [unauthenticated], paths: [{exact: /legacy}]}
    deny:
      - {paths: [{prefix: /charges/secret}]}
  books: {port: 5432, protocol: tcp, endpoints: [{address: 10.0.0.6}]}
externals:
  stripe: {hosts: [api.stripe.com], port: 443, tls: {}, endpoints: [{address: 10.9.9.9}]}
"""


@pytest.fixture
def spec(tmp_path):
    keys = ROOT / "tests" / "behaviour" / "key_sets" / "idp.json"
    (tmp_path / "keys.json").write_text(keys.read_text())
    (tmp_path / "mesh.yaml").write_text(SPEC)
    return str(tmp_path / "mesh.yaml")


def told(capsys, *arguments):
    code = run(["who-can-reach", *arguments])
    return code, capsys.readouterr().out


def document(capsys, *arguments):
    code, out = told(capsys, *arguments, "--format", "json")
    assert code == 0
    found = json.loads(out)
    SCHEMA.validate(found)
    return found


def test_direct_callers_and_those_behind_them(spec, capsys):
    found = document(capsys, "payments", spec)
    # mailer and robot are let in for health checks, whatever the rules say.
    assert found["ways"] == [
        ["mailer", "payments"],
        ["orders", "payments"],
        ["robot", "payments"],
        ["web", "orders", "payments"],
        ["edge", "web", "orders", "payments"],
    ]
    lines = SPEC.splitlines()
    of_orders = [each for each in found["calls"] if each["caller"] == "orders"]
    assert [(each["ground"], lines[each["at"]["line"] - 1].strip()[:24]) for each in of_orders] == [
        ("rule", "- {from: [orders], metho"),
        ("rule", "- {from: [orders], jwt: "),
        ("rule", "- {from: [orders], paths"),
        ("health", "healthPath: /healthz"),
    ]
    posted, by_token, by_regex, health = of_orders
    assert posted["conditions"]["methods"] == ["POST"]
    assert posted["example"] == {"method": "POST", "url": "http://payments/charges", "headers": []}
    assert by_token["conditions"]["token"] == {"issuer": "idp", "claims": {"role": "clerk"}}
    assert by_token["example"] == {
        "method": "GET",
        "url": "http://payments/",
        "headers": [["x-why", "example"]],
    }
    assert (by_regex["proved"], by_regex["example"]) == (False, None)
    assert health["example"]["url"] == "http://payments/healthz"
    # What a deny rule takes away is no permission.
    assert [each["ground"] for each in found["calls"] if each["caller"] == "mailer"] == ["health"]
    assert {each["of"]: each["door"] for each in found["entrances"]} == {
        "payments": "plaintext",
        "edge": "gateway",
    }
    plaintext = next(each for each in found["entrances"] if each["of"] == "payments")
    assert plaintext["addresses"] == ["0.0.0.0:15006"]
    assert [each["example"]["url"] for each in plaintext["permissions"]] == [
        "http://payments.shop.mesh/legacy"
    ]


def test_streams_externals_and_gateways(spec, capsys):
    assert document(capsys, "books", spec)["ways"] == [["web", "books"], ["edge", "web", "books"]]
    outside = document(capsys, "stripe", spec)
    assert outside["ways"][0] == ["orders", "stripe"]
    assert outside["calls"][0]["ground"] == "outside"
    nobody = document(capsys, "edge", spec)
    assert (nobody["ways"], nobody["kind"], len(nobody["entrances"])) == ([], "gateway", 1)


def test_in_words(spec, capsys):
    code, out = told(capsys, "payments", spec)
    assert code == 0
    assert out.startswith("service payments: 3 direct callers, 2 behind them\n\nways\n")
    assert "  mailer -> payments (health checks only)\n" in out
    assert "  edge -> web -> orders -> payments\n" in out
    assert "    a rule allows POST; path `/charges` and below [" in out
    assert "      such as GET http://payments/ -H 'x-why: example', with such a token\n" in out
    assert "      perhaps: regular expressions decide\n" in out
    assert "eyJ" not in out
    assert "  payments: plaintext, at 0.0.0.0:15006 [" in out


def test_calls_that_nothing_permits_and_grants_without_a_call(tmp_path, capsys):
    text = SPEC.replace("    healthPath: /healthz\n", "").replace("from: [mailer]", "from: [web]")
    path = tmp_path / "mesh.yaml"
    path.write_text(text.replace("  jwt:", "  authorization: {mode: explicit}\n  jwt:"))
    keys = ROOT / "tests" / "behaviour" / "key_sets" / "idp.json"
    (tmp_path / "keys.json").write_text(keys.read_text())
    found = document(capsys, "payments", str(path))
    refused = [
        (each["caller"], path.read_text().splitlines()[each["at"]["line"] - 1][:9])
        for each in found["callsWithoutGrant"]
    ]
    assert refused == [("mailer", "  mailer:"), ("robot", "  robot: ")]
    # web is named by a rule, but all of it is denied.
    assert found["allowedWithoutCall"] == []
    path.write_text(
        path.read_text().replace("  - {paths: [{prefix: /charges/secret}]}", "  - {from: [robot]}")
    )
    found = document(capsys, "payments", str(path))
    assert [each["caller"] for each in found["allowedWithoutCall"]] == ["web"]


LED_ELSEWHERE = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
defaults: {timeout: 5s}
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {server: {}}}
  server:
    port: 80
    endpoints: [{address: 10.0.0.2}]
    routes: [{name: v1, matches: [{path: {prefix: /v1}}]}]
    allow:
      - {from: [web], paths: [{prefix: /admin}]}
"""


def test_a_rule_that_no_route_of_the_caller_leads_to(tmp_path, capsys):
    # /v1 is answered 403 by the callee's sidecar and /admin 404 by web's own, but web's certificate opens /admin.
    path = tmp_path / "mesh.yaml"
    path.write_text(LED_ELSEWHERE)
    found = document(capsys, "server", str(path))
    assert (found["ways"], found["calls"]) == ([], [])
    assert [each["caller"] for each in found["callsWithoutGrant"]] == ["web"]
    (past,) = found["allowedWithoutCall"]
    assert (past["caller"], past["ground"], past["at"]["line"]) == ("web", "rule", 11)
    assert past["example"] == {"method": "GET", "url": "https://server.shop.mesh/admin", "headers": []}
    _, out = told(capsys, "server", str(path))
    assert out == (
        "service server: no service or gateway reaches it by a call; past their own sidecars some would be let in\n"
        "\nwould be let in, but nothing leads there\n"
        "  web -> server\n"
        f"    a rule allows path `/admin` and below [{path}:11]\n"
        "      such as GET https://server.shop.mesh/admin\n"
        "\ncalls that nothing permits\n"
        f"  web -> server [{path}:5]\n"
    )


def test_of_a_caller_with_a_way_only_the_other_rules_stand_there(tmp_path, capsys):
    path = tmp_path / "mesh.yaml"
    path.write_text(LED_ELSEWHERE + "      - {from: [web], methods: [GET], paths: [{prefix: /v1}]}\n")
    found = document(capsys, "server", str(path))
    assert found["ways"] == [["web", "server"]]
    assert [each["at"]["line"] for each in found["calls"]] == [12]
    assert [each["at"]["line"] for each in found["allowedWithoutCall"]] == [11]
    assert found["callsWithoutGrant"] == []


def test_all_paths(spec, capsys):
    path = Path(spec)
    path.write_text(
        path.read_text().replace("calls: {orders: {}, books", "calls: {orders: {}, mailer: {}, books")
    )
    shortest = document(capsys, "payments", spec)["ways"]
    every = document(capsys, "payments", spec, "--all-paths")["ways"]
    assert ["web", "mailer", "payments"] in every
    assert [each for each in shortest if each not in every] == []
    assert len(every) == len(shortest) + 2


def test_audit_lets_everybody_pass(spec, capsys):
    path = Path(spec)
    path.write_text(
        path.read_text()
        .replace("  jwt:", "  authorization: {audit: true}\n  jwt:")
        .replace("    healthPath: /healthz\n", "")
    )
    found = document(capsys, "payments", spec)
    assert {
        each["caller"]: each["ground"] for each in found["calls"] if each["caller"] in ("mailer", "robot")
    } == {
        "mailer": "audit",
        "robot": "audit",
    }


def test_an_unknown_service(spec, capsys):
    assert run(["who-can-reach", "payment", spec]) == 2
    assert "there is no service, gateway or external `payment` in the mesh; did you mean `payments`?" in (
        capsys.readouterr().err
    )


def test_a_spec_with_errors(tmp_path, capsys):
    (tmp_path / "mesh.yaml").write_text("apiVersion: meshctl.dev/v1\nmesh: {name: 1}\n")
    assert run(["who-can-reach", "web", str(tmp_path / "mesh.yaml")]) in (1, 2)
    assert "mesh.yaml:2" in capsys.readouterr().err
