"""`meshctl diff --deployed`: what a deployment would change, as a change of specs wherever git has the one of before."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import jsonschema
import pytest

from meshctl.cli.app import run

SCHEMAS = Path(__file__).parents[2] / "schemas"
WEB, STOCK = "web/127.83.6.1", "stock/127.83.6.2"
SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example, bind: endpoint, proxy: nginx}
services:
  web: {port: 80, endpoints: [{address: 127.83.6.1}], calls: {stock: {timeout: 3s}}}
  stock: {port: 80, endpoints: [{address: 127.83.6.2}]}
"""
LATER = SPEC.replace("3s", "4s")
TOLD = "~ service stock\n    ~ route default\n        ~ timeout: 3s -> 4s\nsidecars to deploy:\n  ~ web/127.83.6.1\n"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git("init", "-q", "-b", "main")
    Path(".git/info/exclude").write_text(".out\n", "utf-8")


def git(*words: str) -> None:
    environment = os.environ | {
        f"GIT_{who}_{what}": "x@y" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    subprocess.run(["git", *words], check=True, capture_output=True, env=environment)


def commit(text: str) -> None:
    Path("mesh.yaml").write_text(text, "utf-8")
    git("add", "-A")
    git("commit", "-qm", "x")


def build(*words: str) -> None:
    assert run(["build", "--verify", "none", "-o", ".out", *words]) == 0


def diff(capsys, *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    status = run(["diff", "--deployed", ".out", *words])
    told = capsys.readouterr()
    return status, told.out, told.err


def document(capsys, *words: str) -> dict:
    status, out, _ = diff(capsys, "--format", "json", *words)
    found: dict = json.loads(out)
    jsonschema.Draft202012Validator(json.loads((SCHEMAS / "deployed.schema.json").read_text())).validate(
        found
    )
    if found["change"] is not None:
        change = jsonschema.Draft202012Validator(json.loads((SCHEMAS / "diff.schema.json").read_text()))
        change.validate(found["change"])
    assert status == int(found["differs"])
    return found


@pytest.fixture
def deployed():
    """The first of two commits is deployed, the second is the newest."""
    commit(SPEC)
    build()
    commit(LATER)


def test_an_older_commit_is_found_and_its_change_is_told(deployed, capsys):
    status, out, err = diff(capsys)
    assert (status, out) == (1, TOLD)
    assert err.startswith(".out: built from ")
    assert ", older than what it is compared with\n" in err
    found = document(capsys)
    assert (found["age"], found["strays"], [each["bundle"] for each in found["bundles"]]) == (
        "older",
        [],
        [WEB],
    )
    assert found["change"]["changes"]
    assert diff(capsys, "HEAD~1")[:2] == (0, "")
    assert diff(capsys, "--max-sidecars", "0", "--fail-on", "limit")[0] == 1
    assert diff(capsys, "--max-sidecars", "1", "--fail-on", "limit")[0] == 0
    status, out, _ = diff(capsys, "--format", "markdown")
    assert status == 1
    assert "built from " in out


def test_the_very_spec_is_no_change(deployed, capsys):
    build()
    assert diff(capsys) == (0, "", ".out: built from this very spec\nno change\n")
    assert document(capsys)["age"] == "same"


def test_a_newer_commit_and_one_aside_are_told_as_such(deployed, capsys):
    build()
    assert document(capsys, "HEAD~1")["age"] == "newer"
    git("checkout", "-qb", "aside", "HEAD~1")
    commit(SPEC.replace("3s", "9s"))
    assert document(capsys)["age"] == "aside"


def test_what_git_does_not_have_is_told_by_builds(deployed, capsys):
    Path("mesh.yaml").write_text(
        SPEC.replace("stock: {port", "shelf: {port").replace("stock:", "shelf:"), "utf-8"
    )
    build()
    Path("mesh.yaml").write_text(LATER, "utf-8")
    status, out, err = diff(capsys)
    assert (status, out) == (1, f"- shelf/127.83.6.2\n+ {STOCK}\n~ {WEB}\n")
    assert ".out: no commit at hand has the spec that it was built from (sha256:" in err
    assert err.endswith("3 sidecars to deploy\n")
    assert document(capsys)["change"] is None
    status, out, _ = diff(capsys, "--format", "markdown")
    assert (status, f"* `+ {STOCK}`\n" in out) == (1, True)
    status, _, err = diff(capsys, "--max-callers", "3")
    assert (status, "limits are about the change itself" in err) == (2, True)


def test_a_shallow_clone_says_what_is_missing(deployed, capsys, monkeypatch):
    git("clone", "-q", "--depth", "1", f"file://{Path.cwd()}", "clone")
    Path(".out").rename("clone/.out")
    monkeypatch.chdir("clone")
    status, _, err = diff(capsys)
    assert status == 1
    assert (
        "told by builds alone (this clone is shallow: `git fetch --unshallow`, or `fetch-depth: 0` in CI)"
        in err
    )


def test_outside_of_a_repository_builds_are_all(tmp_path, capsys, monkeypatch):
    Path("mesh.yaml").write_text(SPEC, "utf-8")
    build()
    Path("mesh.yaml").write_text(LATER, "utf-8")
    subprocess.run(["rm", "-r", ".git"], check=True)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert diff(capsys)[:2] == (1, f"~ {WEB}\n")


def test_bundles_of_an_earlier_build_are_named(deployed, capsys):
    build("--service", "stock")
    found = document(capsys)
    assert (found["age"], found["strays"]) == ("same", [WEB])
    assert diff(capsys) == (1, "", f".out: built from this very spec; of other builds: {WEB}\nno change\n")


def test_files_are_compared_as_they_are_there(deployed, capsys):
    build()
    where = Path(".out", WEB, "README")
    where.write_text("mine\n", "utf-8")
    Path(".out", STOCK, "README").unlink()
    Path(".out", STOCK, "README").symlink_to("/etc/hostname")
    Path(".out", STOCK, "nginx", "run").chmod(0o644)
    status, out, _ = diff(capsys, "--rendered")
    assert (status, "-mine\n" in out) == (0, True)
    signs = {each["path"]: each["sign"] for each in document(capsys, "--rendered")["files"]}
    assert signs == {f"{WEB}/README": "changed", f"{STOCK}/README": "added", f"{STOCK}/nginx/run": "changed"}


def test_environments_and_named_files_are_part_of_the_spec(capsys):
    Path("environments").mkdir()
    Path("environments/prod.yaml").write_text("mesh: {trustDomain: prod.example}\n", "utf-8")
    keys = (Path(__file__).parents[1] / "behaviour" / "key_sets").glob("*.json")
    Path("keys.json").write_bytes(min(keys).read_bytes())
    issuer = "jwt: {issuers: {idp: {issuer: 'https://idp.example', audiences: [shop], jwks: keys.json}}}, proxy: nginx"
    commit(SPEC.replace("proxy: nginx", issuer))
    build("--env", "prod")
    commit(LATER.replace("proxy: nginx", issuer))
    found = document(capsys, "--env", "prod")
    assert (found["age"], [each["bundle"] for each in found["bundles"]]) == ("older", [WEB])
    status, _, err = diff(capsys)
    assert (status, ".out was built with --env prod" in err) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["HEAD", "HEAD~1"], "--deployed takes the place of BASE"),
        (["HEAD~9"], "HEAD~9"),
        (["HEAD..main"], "HEAD..main"),
        (["--spec", "none.yaml"], "none.yaml"),
    ],
)
def test_what_cannot_be_asked(deployed, capsys, words, said):
    status, out, err = diff(capsys, *words)
    assert (status, out) == (2, "")
    assert said in err
    assert run(["diff", "--deployed", "nowhere"]) == 2
