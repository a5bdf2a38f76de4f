"""`--env` on every command that reads a spec, and what `validate` says of environments."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import jsonschema
import pytest

from meshctl.cli.app import run

ROOT = Path(__file__).resolve().parents[2]
SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services:
  web: {port: 8080, endpoints: [{address: 10.0.0.1}], calls: {api: {}}}
  api: {port: 8080, endpoints: [{address: 10.0.0.2}], timeout: 3s}
"""
PROD = """\
mesh: {trustDomain: prod.shop.example}
services:
  api: {endpoints: [{address: 10.9.0.2}], timeout: 1s}
"""
STAGING = "mesh: {trustDomain: staging.shop.example}\n"


def git(*arguments):
    quiet = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *quiet, *arguments], check=True, capture_output=True)


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("environments").mkdir()
    Path("mesh.yaml").write_text(SPEC, "utf-8")
    Path("environments/prod.yaml").write_text(PROD, "utf-8")
    Path("environments/staging.yaml").write_text(STAGING, "utf-8")
    git("init", "-q", ".")
    git("add", ".")
    git("commit", "-qm", "first")


COMMANDS = [
    ["validate"],
    ["validate", "HEAD:mesh.yaml"],
    ["lint"],
    ["build", "--verify", "none"],
    ["build", "--verify", "none", "HEAD:mesh.yaml"],
    ["diff", "HEAD"],
    ["capabilities", "mesh.yaml"],
    ["graph"],
    ["certs", "init", "--ca", "ca"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_that_reads_a_spec_takes_an_environment(command, capsys):
    assert run([*command, "--env", "prod"]) == 0
    capsys.readouterr()


@pytest.mark.parametrize("command", [*COMMANDS, ["up", "--for", "1"]], ids=" ".join)
@pytest.mark.parametrize("name", ["nope", "", "../prod"])
def test_an_unknown_environment_is_a_mistake_on_the_command_line(command, name, capsys):
    assert run([*command, "--env", name]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "prod, staging" in told.err if name == "nope" else "cannot be an environment" in told.err
    assert not Path("build").exists()
    assert not Path("ca").exists()


def test_an_environment_of_no_spec_is_a_mistake_on_the_command_line(capsys):
    assert run(["capabilities", "--env", "prod"]) == 2
    assert "SPEC" in capsys.readouterr().err


def built(out, *arguments):
    assert run(["build", "-o", out, "--verify", "none", *arguments]) == 0
    files = {str(path.relative_to(out)): path.read_bytes() for path in Path(out).rglob("*") if path.is_file()}
    return files, json.loads(files["manifest.json"])


def test_a_build_holds_what_the_environment_says_and_names_it(capsys):
    files, manifest = built("prod", "--env", "prod")
    assert manifest["environment"] == "prod"
    assert b"10.9.0.2" in b"".join(files.values())
    assert b"spiffe://prod.shop.example/api" in b"".join(files.values())
    again, _ = built("again", "--env", "prod")
    revision, _ = built("revision", "HEAD:mesh.yaml", "--env", "prod")
    assert files == again == revision
    schema = json.loads((ROOT / "schemas" / "manifest.schema.json").read_text("utf-8"))
    bare, without = built("bare")
    assert "environment" not in without
    assert b"10.9.0.2" not in b"".join(bare.values())
    assert without["spec"] != manifest["spec"]
    for each in (manifest, without):
        jsonschema.Draft202012Validator(schema).validate(each)
    capsys.readouterr()


def test_a_difference_is_that_of_the_environment(capsys):
    Path("environments/prod.yaml").write_text(PROD.replace("1s", "2s"), "utf-8")
    assert run(["diff", "HEAD"]) == 0
    assert run(["diff", "HEAD", "--env", "staging"]) == 0
    assert run(["diff", "HEAD", "--env", "prod"]) == 1
    assert "1s -> 2s" in capsys.readouterr().out


def findings(capsys, *arguments):
    code = run(["validate", "--format", "json", *arguments])
    told = json.loads(capsys.readouterr().out)["findings"]
    return code, [(each["slug"], "{file}:{line}:{column}".format(**each["at"])) for each in told]


SHARED = ("shared-trust-domain", "environments/staging.yaml:1:1")


@pytest.mark.parametrize("arguments", [(), ("--env", "prod"), ("--env", "staging")])
def test_every_validation_compares_all_environments(arguments, capsys):
    assert findings(capsys, *arguments) == (0, [])
    Path("environments/staging.yaml").write_text("services: {api: {timeout: 9s}}\n", "utf-8")
    assert findings(capsys, *arguments) == (1, [SHARED])


def test_a_shared_trust_domain_keeps_nothing_from_being_built(capsys):
    Path("environments/staging.yaml").write_text("services: {api: {timeout: 9s}}\n", "utf-8")
    built("out", "--env", "staging")
    capsys.readouterr()


def test_that_an_environment_has_a_ca_of_its_own_is_said_by_a_waiver(capsys):
    Path("environments/staging.yaml").write_text("services: {api: {timeout: 9s}}\n", "utf-8")
    waive = '  waive: [{finding: shared-trust-domain, reason: "own CA", owner: sec, until: 2999-01-01}]\n'
    mesh = "mesh:\n  name: shop\n  domain: shop.mesh\n  trustDomain: shop.example\n"
    Path("mesh.yaml").write_text(SPEC.replace(SPEC.splitlines(keepends=True)[1], mesh + waive), "utf-8")
    for arguments in ((), ("--env", "prod"), ("--env", "staging")):
        assert run(["validate", *arguments]) == 0
    run(["lint"])
    assert "unused-waiver" not in capsys.readouterr().out


def test_an_environment_that_cannot_be_read_is_told_whichever_is_asked_for(capsys):
    Path("environments/staging.yaml").write_text("mesh: [", "utf-8")
    for arguments in ((), ("--env", "prod"), ("--env", "staging")):
        code, told = findings(capsys, *arguments)
        assert code == 2
        assert ("yaml-syntax", "environments/staging.yaml:1:8") in told
    assert run(["build", "--verify", "none", "--env", "prod"]) == 0
    assert run(["build", "--verify", "none", "--env", "staging"]) == 2
    capsys.readouterr()


def test_a_waiver_holds_for_its_service_in_the_environment_too(capsys):
    """A finding about what an environment wrote belongs to the service that it wrote it for."""
    waive = "waive: [{finding: approximated-on-target, reason: r, owner: o, until: 2999-01-01}]"
    Path("mesh.yaml").write_text(
        SPEC.replace("mesh: {", "mesh: {proxy: haproxy, ").replace("timeout: 3s", waive), "utf-8"
    )
    Path("environments/prod.yaml").write_text(
        "services:\n  api: {timeout: 1s}\n  other: {port: 1, endpoints: [{address: 10.0.0.9}], timeout: 1s}\n"
        "  web: {calls: {other: {}}}\nmesh: {trustDomain: prod.shop.example}\n",
        "utf-8",
    )
    code = run(["validate", "--format", "json", "--env", "prod"])
    told = json.loads(capsys.readouterr().out)["findings"]
    assert code == 0
    waived = {
        each["at"]["line"]: bool(each.get("waived"))
        for each in told
        if each["slug"] == "approximated-on-target"
    }
    assert waived == {2: True, 3: False}
