"""`meshctl publish` in one repository: what is on the branch, and what is left alone."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import jsonschema
import pytest

from meshctl.artifacts import Artifact
from meshctl.cli.app import run
from meshctl.live import verify
from meshctl.pipeline import building, publishing
from tests.publish.repositories import (
    LEDGER,
    PROD,
    SPEC,
    edit,
    files,
    git,
    make,
    save,
    state,
    tip,
    use_identity,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    use_identity(monkeypatch)
    make(tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")


def publish(*arguments):
    return run(["publish", "--verify", "none", *arguments])


def manifest(folder=""):
    return json.loads(git("show", f"rendered:{folder}manifest.json"))


def test_the_branch_holds_what_build_writes_and_says_of_what(capsys):
    Path("mesh.yaml").write_text(SPEC + LEDGER, "utf-8")
    save()
    assert publish() == 0
    out = Path("../built")
    assert run(["build", "-o", str(out), "--verify", "none"]) == 0
    built = {str(each.relative_to(out)) for each in out.rglob("*") if each.is_file()}
    assert set(files()) == built
    for path in built - {"manifest.json"}:
        show = subprocess.run(["git", "show", f"rendered:{path}"], check=True, capture_output=True)
        assert show.stdout == (out / path).read_bytes(), path
        executable = bool((out / path).stat().st_mode & 0o100)
        assert files()[path].startswith("100755 " if executable else "100644 "), path
    said = manifest()
    jsonschema.Draft202012Validator(json.loads((ROOT / "schemas/manifest.schema.json").read_text())).validate(
        said
    )
    assert said.pop("source") == {"commit": git("rev-parse", "HEAD"), "spec": "mesh.yaml"}
    assert said == json.loads((out / "manifest.json").read_text())
    message = git("log", "-1", "--format=%B", "rendered")
    assert message.splitlines()[0] == f"Publish shop of {git('rev-parse', '--short=12', 'HEAD')}"
    trailers = git("log", "-1", "--format=%(trailers:only)", "rendered").splitlines()
    assert trailers[0] == f"Source-Commit: {git('rev-parse', 'HEAD')}"
    assert trailers[1].startswith("Meshctl-Version: ")
    assert git("rev-list", "--count", "rendered") == "1"
    capsys.readouterr()


def test_the_same_again_is_no_commit(capsys):
    assert publish() == 0
    first = tip()
    Path("notes.md").write_text("nothing of the mesh")
    save()
    capsys.readouterr()
    assert publish() == 0
    assert tip() == first
    assert capsys.readouterr().out == f"rendered: up to date, {first[:12]}\n"


def test_a_change_is_told_as_diff_does(capsys):
    publish()
    edit(2)
    capsys.readouterr()
    assert publish() == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("services: 0 to add, 1 to change, 0 to remove; 1 sidecar to deploy; ")
    assert "~ rendered/manifest.json" in out
    assert out[-1].startswith(
        f"rendered: {tip()[:12]}, of {git('rev-parse', '--short=12', 'HEAD')}; 0 created, "
    )
    assert git("rev-list", "--count", "rendered") == "2"


def test_a_service_that_went_is_gone_from_the_branch(capsys):
    publish()
    Path("mesh.yaml").write_text(SPEC.replace("catalog: {}", "").replace("  catalog:", "  #"), "utf-8")
    save()
    assert publish() == 0
    assert not any(path.startswith("catalog/") for path in files())
    assert any(path.startswith("web/") for path in files())
    capsys.readouterr()


def test_nothing_but_the_branch_is_touched(capsys):
    Path("ignored").mkdir()
    Path(".gitignore").write_text("ignored/\n")
    save()
    Path("mesh.yaml").write_text(SPEC + "# stashed\n")
    git("stash")
    Path("notes.md").write_text("untracked")
    Path("ignored/x.yaml").write_text("x")
    before = state()
    assert publish() == 0
    assert publish("--path", "below", "--branch", "rendered-below") == 0
    assert state() == before
    assert git("stash", "list")
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "folders"),
    [
        (["--env", "prod"], {""}),
        (["--env", "prod", "--env", "staging"], {"prod/", "staging/"}),
        (["--env", "prod", "--path", "eu/prod"], {"eu/prod/"}),
        (["--env", "prod", "--env", "staging", "--path", "eu"], {"eu/prod/", "eu/staging/"}),
    ],
)
def test_environments_are_in_folders(capsys, arguments, folders):
    assert publish(*arguments) == 0
    assert {
        path.removesuffix("manifest.json") for path in files() if path.endswith("manifest.json")
    } == folders
    for folder in folders:
        assert manifest(folder)["environment"] == ("staging" if "staging" in folder else "prod")
    capsys.readouterr()


def test_folders_stand_beside_each_other(capsys):
    assert publish("--env", "prod", "--path", "prod") == 0
    of_prod = files()
    assert publish("--env", "staging", "--path", "staging") == 0
    assert {path: each for path, each in files().items() if path.startswith("prod/")} == of_prod
    Path("environments/staging.yaml").write_text(PROD.replace("prod", "test"), "utf-8")
    save()
    assert publish("--env", "prod", "--env", "staging") == 0
    assert {path: each for path, each in files().items() if path.startswith("prod/")} == of_prod
    assert git("rev-list", "--count", "rendered") == "3"
    capsys.readouterr()


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ([], ["--path", "prod"], "the top of the branch is a publication already"),
        (["--path", "prod"], [], "holds other things (prod)"),
        (["--path", "a"], ["--path", "a/b"], "the folder `a` of the branch is a publication already"),
        (["--path", "a/b"], ["--path", "a"], "the folder `a` of the branch holds other things (b)"),
        (["--env", "prod"], [], "holds shop (prod), and shop would take its place"),
        (["--env", "prod"], ["--env", "staging"], "holds shop (prod), and shop (staging) would take"),
    ],
)
def test_one_publication_never_takes_the_place_of_another(capsys, first, second, told):
    assert publish(*first) == 0
    before = tip()
    assert publish(*second) == 2
    assert told in capsys.readouterr().err
    assert tip() == before


def test_a_branch_of_somebody_else_is_refused(capsys):
    git("branch", "rendered")
    before = tip()
    assert publish() == 2
    assert "was not made by it" in capsys.readouterr().err
    assert tip() == before
    git("branch", "-D", "rendered")
    assert publish() == 0
    by_hand = git(
        "commit-tree", "rendered^{tree}", "-p", "rendered", "-m", "mended by hand\n\nSigned-off-by: x"
    )
    git("update-ref", "refs/heads/rendered", by_hand)
    assert publish() == 2
    assert "(mended by hand) was not made by it" in capsys.readouterr().err


HOSTILE = [
    b"",
    b"[]",
    b"{",
    b"\xff",
    b"[" * 100_000,
    b'{"source": null, "mesh": "shop"}',
    b'{"source": {"commit": "--all", "spec": "mesh.yaml"}, "mesh": "shop"}',
    b'{"source": {"commit": "HEAD", "spec": "mesh.yaml"}, "mesh": "shop"}',
    b'{"source": {"commit": "%040d", "spec": "a\\u0000b"}, "mesh": "shop"}' % 0,
]


def test_a_manifest_that_nobody_wrote_is_no_publication(capsys):
    assert publish() == 0
    message = git("log", "-1", "--format=%B", "rendered")
    for content in HOSTILE:
        Path(".git/forged").write_bytes(content)
        blob = git("hash-object", "-w", ".git/forged")
        made = subprocess.run(
            ["git", "mktree"],
            input=f"100644 blob {blob}\tmanifest.json\n".encode(),
            capture_output=True,
            check=True,
        )
        forged = git("commit-tree", made.stdout.decode().strip(), "-m", message)
        git("update-ref", "refs/heads/rendered", forged)
        assert publish() == 2, content[:80]
        assert "the top of the branch holds other things (manifest.json)" in capsys.readouterr().err
        assert tip() == forged


def test_without_git_nothing_is_published(capsys, monkeypatch):
    for path in ("/nonexistent", "only-env"):
        Path("only-env").mkdir(exist_ok=True)
        if not Path("only-env/env").exists():
            Path("only-env/env").symlink_to("/usr/bin/env")
        with monkeypatch.context() as poor:
            poor.setenv("PATH", path)
            assert publish() == 2
        assert "git is not installed" in capsys.readouterr().err


def test_a_branch_that_is_checked_out_is_refused(capsys, tmp_path):
    assert publish() == 0
    git("worktree", "add", "-q", str(tmp_path / "other"), "rendered")
    edit(2)
    before = tip()
    assert publish() == 2
    assert "the branch `rendered` is checked out" in capsys.readouterr().err
    assert publish("--branch", "main") == 2
    assert tip() == before


DIRTY = {
    "edited": lambda: Path("mesh.yaml").write_text(SPEC + "#\n"),
    "staged": lambda: (Path("mesh.yaml").write_text(SPEC + "#\n"), git("add", "mesh.yaml")),
    "removed": lambda: Path("environments/prod.yaml").unlink(),
    "new environment": lambda: Path("environments/test.yaml").write_text(PROD),
    "mode": lambda: Path("mesh.yaml").chmod(0o755),
}


def test_findings_name_places_as_a_folder_has_them(capsys, monkeypatch):
    Path("mesh").mkdir()
    Path("mesh/mesh.yaml").write_text(SPEC.replace("port: 8080", "port: 80800"))
    git("add", "mesh")
    git("commit", "-qm", "wrong")
    monkeypatch.chdir("mesh")
    assert publish(".") == 1
    assert capsys.readouterr().err.startswith(f"{git('rev-parse', '--short=12', 'HEAD')}:./mesh.yaml:")


@pytest.mark.parametrize("how", DIRTY)
def test_what_nobody_committed_is_not_published(capsys, how):
    DIRTY[how]()
    assert publish() == 2
    assert (
        "commit it, or publish what is committed: `meshctl publish HEAD:./mesh.yaml`"
        in capsys.readouterr().err
    )
    assert tip() == ""
    assert publish("HEAD:./mesh.yaml") == 0
    manifest_of_head = git("show", "rendered:manifest.json")
    assert f'"commit": "{git("rev-parse", "HEAD")}"' in manifest_of_head
    capsys.readouterr()


def test_a_new_file_of_a_folder_is_not_published_either(capsys):
    Path("mesh").mkdir()
    Path("mesh.yaml").rename("mesh/mesh.yaml")
    save()
    Path("mesh/README.md").write_text("no part of the spec")
    Path("mesh/policies").mkdir()
    Path("mesh/policies/own.yaml").write_text("no part of the spec")
    Path("mesh/mesh.test.yaml").write_text("no part of the spec")
    assert publish() == 0
    Path("mesh/more.yaml").write_text("services: {}")
    assert publish() == 2
    assert "not as in HEAD: mesh/more.yaml; commit it" in capsys.readouterr().err


def test_findings_are_told_and_nothing_is_published(capsys):
    Path("mesh.yaml").write_text(SPEC.replace("timeout: 3s", "timout: 3s"), "utf-8")
    save()
    assert publish() == 1
    told = capsys.readouterr()
    assert "MSH1001 unknown-key" in told.err
    assert "1 error; references and meaning were not checked; nothing was published" in told.err
    assert told.out == ""
    Path("mesh.yaml").write_text("{", "utf-8")
    save()
    assert publish() == 2
    Path("mesh.yaml").write_text(SPEC, "utf-8")
    Path("environments/staging.yaml").write_text("services: {web: {port: x}}", "utf-8")
    save()
    assert publish("--env", "prod", "--env", "staging") == 1
    assert tip() == ""
    capsys.readouterr()


def test_order_is_that_of_the_source(capsys):
    newer = edit(2)
    assert publish() == 0
    before = tip()
    assert publish("HEAD~1:mesh.yaml") == 2
    assert "is older than" in capsys.readouterr().err
    git("switch", "-qc", "aside", "HEAD~1")
    edit(4)
    assert publish() == 2
    assert f"{newer[:12]} is published, and is not in the history of" in capsys.readouterr().err
    assert tip() == before
    assert publish("--force-older") == 0
    assert manifest()["source"]["commit"] == git("rev-parse", "HEAD")
    git("switch", "-q", "main")
    git("merge", "-q", "-s", "ours", "--no-edit", "aside")
    assert publish() == 0
    capsys.readouterr()


def test_a_change_that_was_taken_back_is_newer_than_the_change(capsys):
    assert publish() == 0
    late = edit(2)
    edit(3)
    assert publish() == 0
    assert git("rev-list", "--count", "rendered") == "2"
    assert git("diff", "--name-only", "rendered~", "rendered") == "manifest.json"
    assert publish() == 0
    assert git("rev-list", "--count", "rendered") == "2"
    assert publish(f"{late}:mesh.yaml") == 2
    assert "is older than" in capsys.readouterr().err


def test_a_source_that_is_unknown_here_is_not_overwritten(capsys):
    edit(2)
    assert publish() == 0
    git("reset", "-q", "--hard", "HEAD~1")
    edit(4)
    git("reflog", "expire", "--expire=now", "--all")
    git("gc", "-q", "--prune=now")
    assert publish() == 2
    assert "is published, which this clone does not have: `git fetch`" in capsys.readouterr().err
    assert publish("--force-older") == 0
    capsys.readouterr()


PLANTED = [
    ("web/tls/cert.pem.key", b"x", "of no kind that may be on a branch: web/tls/cert.pem.key"),
    ("web/run/state", b"x", "of no kind that may be on a branch: web/run/state"),
    ("web/envoy/sds/../x.json", b"x", "of no kind"),
    ("web/envoy/key.pem", b"x", "of no kind"),
    (".env", b"x", "of no kind"),
    (
        "web/envoy/sds/identity.json",
        b'"-----BEGIN EC PRIVATE KEY-----"',
        "like a private key is in web/envoy/sds",
    ),
    ("web/README", b"AGE-SECRET-KEY-1", "something like a private key is in web/README"),
]


def test_no_key_gets_onto_a_branch(capsys, monkeypatch):
    real = building.emit
    for path, content, told in PLANTED:
        planted = Artifact(path, content)
        monkeypatch.setattr(
            publishing,
            "emit",
            lambda mesh, planted=planted: (
                *(each for each in real(mesh) if each.path != planted.path),
                planted,
            ),
        )
        assert publish() == 2
        assert told in capsys.readouterr().err
        assert tip() == ""


def test_no_key_of_a_build_beside_it_does_either(capsys):
    assert run(["certs", "init"]) == 0
    assert run(["build", "--verify", "none"]) == 0
    Path(".gitignore").write_text("build/\n.meshctl/\n")
    save()
    assert list(Path("build").rglob("*.key"))
    assert publish() == 0
    found = subprocess.run(
        ["git", "grep", "-l", "-e", "PRIVATE KEY", "-e", "BEGIN CERT", "rendered"],
        capture_output=True,
        check=False,
    )
    assert (found.returncode, found.stdout) == (1, b"")
    listing = ["git", "cat-file", "--batch-all-objects", "--batch", "--buffer"]
    assert b"BEGIN" not in subprocess.run(listing, capture_output=True, check=True).stdout
    capsys.readouterr()


def test_a_proxy_that_refuses_keeps_the_branch_as_it_is(capsys, monkeypatch):
    assert publish() == 0
    edit(2)
    before = tip()
    refused = verify.Verdict("web", ok=False, output="no such field")
    monkeypatch.setattr(verify, "verify", lambda check: refused)
    assert run(["publish", "--verify", "all"]) == 2
    assert "a proxy does not take what meshctl made for it" in capsys.readouterr().err
    assert tip() == before


NO_USE = [
    ["absent.yaml"],
    ["nowhere:mesh.yaml"],
    ["HEAD:absent.yaml"],
    [":mesh.yaml"],
    ["--branch", ""],
    ["--branch", "a..b"],
    ["--branch=--all"],
    ["--branch", "refs/heads/x"],
    ["--branch", "@{-1}"],
    ["--branch", "HEAD"],
    ["--branch", "@"],
    ["--branch", "a\nb"],
    ["--path", ""],
    ["--path", ".."],
    ["--path", "a/../b"],
    ["--path", "/etc"],
    ["--path", ".git"],
    ["--path", "x.git"],
    ["--path", "a//b"],
    ["--path", "x" * 101],
    ["--env", "absent"],
    ["--env", "../prod"],
    ["--push"],
    ["--push", "--remote", "--upload-pack=x"],
    ["--push", "--remote", "../work"],
    ["--verify", "some"],
]


def test_what_cannot_be_is_a_usage_error(capsys):
    before = state()
    for arguments in NO_USE:
        assert publish(*arguments) == 2, arguments
        told = capsys.readouterr()
        assert told.err, arguments
        assert told.out == "", arguments
        assert tip() == "", arguments
    assert state() == before


def test_a_file_in_the_way_of_a_branch_is_said(capsys):
    git("branch", "rendered/old")
    assert publish() == 2
    assert "refs/heads/rendered/old" in capsys.readouterr().err
