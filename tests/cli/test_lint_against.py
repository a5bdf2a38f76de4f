"""`meshctl lint --against`: a change, and everything that may be wrong with what it is compared with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from meshctl.cli.app import run
from meshctl.cli.formats import Format

MESH = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
defaults: {timeout: 2s, retries: {attempts: 0}}
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {}}
  shop:
    port: 80
    endpoints: [{address: 10.0.0.2}]
lint: {profile: minimal, rules: {reachability-changed: {severity: error}}}
"""
CALL = MESH.replace("calls: {}", "calls: {shop: {}}")
WAIVE = "\n    waive: [{finding: reachability-changed, reason: r, owner: shop, until: 2099-01-01%s}]\nlint:"


@pytest.fixture
def git(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        identity = ("-c", "user.name=n", "-c", "user.email=n@example.com", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)

    call("init", "-q", "-b", "main")
    Path("mesh.yaml").write_text(MESH, "utf-8")
    call("add", ".")
    call("commit", "-qm", "first")
    return call


def found(capsys, *arguments):
    code = run(["lint", *arguments, "--format", "json"])
    document = json.loads(capsys.readouterr().out)
    return code, [
        (each["slug"], each["severity"], bool(each["waived"]))
        for each in document["findings"]
        if each["slug"] != "distant-waiver"
    ]


def test_who_is_let_in_is_found_of_a_dirty_tree_and_of_revisions(git, capsys):
    opened = ("reachability-changed", "error", False)
    assert found(capsys, "--against", "HEAD") == (0, [])
    Path("mesh.yaml").write_text(CALL, "utf-8")
    assert found(capsys) == (0, [])
    assert found(capsys, "--against", "HEAD") == (1, [opened])
    git("commit", "-qam", "second")
    assert found(capsys, "--against", "HEAD") == (0, [])
    assert found(capsys, "--against", "HEAD~1") == (1, [opened])
    assert found(capsys, "HEAD:mesh.yaml", "--against", "HEAD~1") == (1, [opened])
    assert found(capsys, "--against", "HEAD~1:mesh.yaml") == (1, [opened])


def test_a_folder_is_a_side_too(git, capsys):
    Path("before").mkdir()
    shutil.copy("mesh.yaml", "before")
    Path("mesh.yaml").write_text(CALL, "utf-8")
    assert found(capsys, "--against", "before")[0] == 1
    assert found(capsys, "--against", "before/mesh.yaml")[0] == 1
    assert found(capsys, "--against", "mesh.yaml") == (0, [])


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("", (0, [("reachability-changed", "error", True)])),
        (", caller: web", (0, [("reachability-changed", "error", True)])),
        (", caller: other", (1, [("reachability-changed", "error", False)])),
    ],
)
def test_a_waiver_is_the_consent_and_not_idle_afterwards(git, capsys, more, expected):
    Path("mesh.yaml").write_text(CALL.replace("\nlint:", WAIVE % more), "utf-8")
    assert found(capsys, "--against", "HEAD") == expected
    assert found(capsys) == (0, [])


def test_a_caller_that_a_finding_is_not_about_waives_nothing(git, capsys):
    text = MESH.replace("\nlint:", (WAIVE % ", caller: web").replace("reachability-changed", "dead-route"))
    Path("mesh.yaml").write_text(text, "utf-8")
    assert found(capsys) == (0, [("unused-waiver", "warning", False)])


def test_the_exit_code_is_the_same_in_all_formats(git, capsys):
    Path("mesh.yaml").write_text(CALL, "utf-8")
    for form in Format:
        assert run(["lint", "--against", "HEAD", "--format", form]) == 1
        assert "MSH8102" in capsys.readouterr().out
        assert run(["lint", "--against", "HEAD", "--format", form, "--fail-on", "never"]) == 0


@pytest.mark.parametrize(
    ("against", "told"),
    [
        ("nowhere", "git: Not a valid object name nowhere"),
        ("", "--against is empty"),
        ("HEAD~1", "git: Not a valid object name HEAD~1"),
        ("--output=x", "git: Not a valid object name --output=x"),
        ("empty", "mesh.yaml: not in revision empty"),
        ("HEAD:other.yaml", "other.yaml: not in revision HEAD"),
        ("broken", "broken:./mesh.yaml:1:10: error MSH0001 yaml-syntax"),
        ("wrong", "wrong:./mesh.yaml:5:"),
        ("folder", "folder:1:1: error MSH0"),
    ],
)
def test_what_cannot_be_compared_with_is_told(git, capsys, against, told):
    Path("folder").mkdir()
    for branch, text in (
        ("broken", "meshes: ["),
        ("wrong", MESH.replace("calls: {}", "calls: {nobody: {}}")),
    ):
        git("checkout", "-qb", branch, "main")
        Path("mesh.yaml").write_text(text, "utf-8")
        git("commit", "-qam", branch)
    git("checkout", "-q", "--orphan", "empty")
    git("rm", "-qf", "mesh.yaml")
    git("commit", "-qm", "empty", "--allow-empty")
    git("checkout", "-q", "main")
    for form in ("text", "json", "sarif"):
        assert run(["lint", f"--against={against}", "--format", form]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert told in printed.err
        assert "Traceback" not in printed.err


def test_of_a_shallow_clone_it_is_said_what_is_missing(git, capsys, tmp_path, monkeypatch):
    Path("mesh.yaml").write_text(CALL, "utf-8")
    git("commit", "-qam", "second")
    git("clone", "-q", "--depth", "1", tmp_path.as_uri(), "shallow")
    monkeypatch.chdir("shallow")
    assert run(["lint", "--against", "HEAD"]) == 0
    capsys.readouterr()
    for command in (["lint", "--against", "HEAD~1"], ["diff", "HEAD~1"]):
        assert run(command) == 2
        assert "this clone is shallow" in capsys.readouterr().err


def test_a_spec_with_faults_is_told_as_ever(git, capsys):
    Path("mesh.yaml").write_text(MESH.replace("calls: {}", "calls: {nobody: {}}"), "utf-8")
    code, findings = found(capsys, "--against", "HEAD")
    assert (code, [slug for slug, *_ in findings]) == (1, ["undefined-reference"])


def test_a_policy_of_ones_own_asks_about_a_change(git, capsys):
    Path("own").mkdir()
    Path("own/x.yaml").write_text(
        """\
apiVersion: meshctl.dev/v1
kind: Policy
code: ACME0001
slug: callers-stay
title: Nobody new reaches anybody
why: We said so.
severity: error
select: {kind: change}
assert: size(change.opened) == 0
message: "opened by this change of {{ mesh.name }}: {{ change.opened }}"
fix: Ask.
tests:
  - {name: none, given: {change: {sidecars: [web]}}, expect: pass}
  - {name: one, given: {change: {opened: [a -> b]}}, expect: fail}
  - name: by specs
    given: {before: {services: {a: {}, b: {}}}, after: {services: {a: {calls: {b: {}}}, b: {}}}}
    expect: fail
""",
        "utf-8",
    )
    assert run(["policy", "test", "own"]) == 0
    Path("mesh.yaml").write_text(CALL.replace("profile: minimal, ", ""), "utf-8")
    capsys.readouterr()
    assert run(["lint", "--policies", "own", "--against", "HEAD"]) == 1
    assert "opened by this change of shop: web -> shop" in capsys.readouterr().out
    assert run(["lint", "--policies", "own"]) == 0


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("{before: {services: {}}}", "it needs `before` and `after`"),
        ("{before: {services: {}}, after: {}, mesh: {}}", "it needs `before` and `after`"),
        ("{before: {}, after: a}", "it needs `before` and `after`"),
        ("{before: {services: {a: {calls: {b: {}}}}}, after: {}}", "`before` is no valid spec: "),
        ("{before: {}, after: {services: [a]}}", "`after` is no valid spec: "),
        ("{before: {}, after: {mesh: {jwt: {issuers: {a: {issuer: i, jwks: x.json}}}}}}", "`after`"),
    ],
)
def test_a_case_with_a_faulty_spec_is_told(tmp_path, monkeypatch, capsys, given, told):
    monkeypatch.chdir(tmp_path)
    Path("own").mkdir()
    source = Path(__file__).resolve().parents[2] / "policies" / "change-order.yaml"
    text = source.read_text("utf-8").replace("MSH8103", "ACME0001").replace("slug: change-order", "slug: x")
    Path("own/x.yaml").write_text(f"{text}  - {{name: faulty, given: {given}, expect: pass}}\n", "utf-8")
    assert run(["policy", "test", "own"]) == 1
    printed = capsys.readouterr()
    assert told in printed.out + printed.err
