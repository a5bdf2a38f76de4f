"""`meshctl policy test`, and profiles on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from meshctl.cli.app import run

ROOT = Path(__file__).resolve().parents[2]
FINDINGS = Draft202012Validator(json.loads((ROOT / "schemas" / "findings.schema.json").read_text("utf-8")))
OWN = (
    (ROOT / "policies" / "no-owner.yaml")
    .read_text("utf-8")
    .replace("MSH8106", "ACME0001")
    .replace("no-owner", "x")
)
MESH = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services: {web: {port: 80, endpoints: [{address: 10.0.0.1}]}}
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own").mkdir()
    Path("mesh.yaml").write_text(MESH, "utf-8")
    return Path("own/x.yaml")


def test_the_built_in_policies(capsys):
    assert run(["policy", "test"]) == 0
    assert capsys.readouterr().err.endswith(" 0 failed\n")


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        (OWN, 0, "1 policies, 2 cases, 0 failed"),
        (OWN.replace("!= ''", "== ''"), 1, "should pass, but finds: nobody owns"),
        (OWN.replace("!= ''", "!= 3"), 1, "policy-invalid"),
        ("a: [", 2, "yaml-syntax"),
    ],
)
def test_policies_of_ones_own(own, capsys, text, code, told):
    own.write_text(text, "utf-8")
    assert run(["policy", "test", "own"]) == code
    printed = capsys.readouterr()
    assert told in printed.out + printed.err


def test_a_folder_without_policies_is_no_success(own, capsys):
    assert run(["policy", "test", "own"]) == 2
    assert "there is no policy in own" in capsys.readouterr().err


def found(capsys, *arguments):
    code = run(["lint", *arguments])
    return code, capsys.readouterr()


def test_a_profile_chooses_rules(own, capsys):
    assert "MSH8106 no-owner" not in found(capsys)[1].out
    assert "warning MSH8106 no-owner" in found(capsys, "--profile", "strict")[1].out
    _, printed = found(capsys, "--profile", "fallacies")
    assert "6 There is one administrator: 1 finding against it\n" in printed.err
    assert "2 Latency is zero: nothing against it\n" in printed.err


def test_json_holds_the_verdicts_of_the_profile(own, capsys):
    verdicts = {}
    for profile in ("default", "fallacies"):
        document = json.loads(found(capsys, "--profile", profile, "--format", "json")[1].out)
        assert list(FINDINGS.iter_errors(document)) == []
        verdicts[profile] = document["verdicts"]
    assert verdicts["default"] == []
    assert {"title": "6 There is one administrator", "findings": 1} in verdicts["fallacies"]
    assert run(["validate", "--format", "json"]) == 0
    assert "verdicts" not in json.loads(capsys.readouterr().out)


def test_the_spec_names_a_profile_and_the_command_line_beats_it(own, capsys):
    Path("mesh.yaml").write_text(f"{MESH}lint: {{profile: strict}}\n", "utf-8")
    assert "no-owner" in found(capsys)[1].out
    assert "no-owner" not in found(capsys, "--profile", "minimal")[1].out


def test_an_unknown_profile(own, capsys):
    code, printed = found(capsys, "--profile", "strit")
    assert (code, printed.err) == (
        2,
        "meshctl: there is no profile `strit`; there are default, fallacies, minimal, strict\n",
    )
    Path("mesh.yaml").write_text(f"{MESH}lint: {{profile: strit}}\n", "utf-8")
    code, printed = found(capsys)
    assert code == 1
    assert "mesh.yaml:4:8: error MSH1002" in printed.out
    assert "Did you mean `strict`?" in printed.out


def test_a_profile_of_ones_own_replaces_one(own, capsys):
    own.write_text(
        "apiVersion: meshctl.dev/v1\nkind: Profile\nname: default\ntitle: ours\nothers: off\n"
        "rules: {no-owner: {severity: error}, missing-timeout: {severity: off}, nonsense: {}}\n",
        "utf-8",
    )
    code, printed = found(capsys, "--policies", "own")
    assert code == 1
    assert "error MSH8106 no-owner" in printed.out
    assert "x.yaml:6:72: error MSH1002" in printed.out


@pytest.mark.parametrize(
    "text",
    [
        "kind: Profile\nname: a\ntitle: b\n",
        "apiVersion: meshctl.dev/v1\nkind: Profile\nname: [a]\ntitle: b\n",
        "apiVersion: meshctl.dev/v1\nkind: Profile\nname: a\ntitle: b\nothers: {a: b}\n",
        "apiVersion: meshctl.dev/v1\nkind: Profile\nname: a\ntitle: b\nrules: [a]\n",
        "apiVersion: meshctl.dev/v1\nkind: Profile\nname: a\ntitle: b\ngroups: [{title: c}]\n",
        "apiVersion: meshctl.dev/v1\nkind: Profile\nname: a\ntitle: b\nmore: c\n",
    ],
)
def test_a_faulty_profile_is_told(own, capsys, text):
    own.write_text(text, "utf-8")
    code, printed = found(capsys, "--policies", "own")
    assert code == 1
    assert "MSH0051 policy-invalid" in printed.out


def test_mandatory_rules_stay_whatever_the_profile(own, capsys):
    Path("mesh.yaml").write_text(
        MESH.replace("{port: 80,", "{port: 80, mtls: {mode: permissive, until: 2999-01-01},"), "utf-8"
    )
    for profile in ("default", "minimal", "strict"):
        assert "MSH5101" in found(capsys, "--profile", profile)[1].out
