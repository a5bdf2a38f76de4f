"""`meshctl publish` in clones of every kind: bare, detached, shallow, SHA-256, with hooks, signing, or nobody's name."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from meshctl.cli.app import run
from tests.publish.repositories import edit, files, git, make, state, tip, use_identity

HOOKS = (
    *(
        "applypatch-msg",
        "pre-applypatch",
        "pre-commit",
        "pre-merge-commit",
        "prepare-commit-msg",
        "commit-msg",
    ),
    *(
        "post-commit",
        "post-checkout",
        "post-index-change",
        "reference-transaction",
        "pre-push",
        "post-rewrite",
    ),
)


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    use_identity(monkeypatch)
    make(tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")


def publish(*arguments):
    return run(["publish", "--verify", "none", *arguments])


def test_a_bare_repository(capsys, tmp_path, monkeypatch):
    git("clone", "-q", "--bare", ".", "../bare.git")
    assert publish() == 0
    expected = files()
    monkeypatch.chdir("../bare.git")
    before = state()
    assert publish() == 2
    assert "HEAD:mesh.yaml" in capsys.readouterr().err
    assert publish("./mesh.yaml") == 2
    assert publish("HEAD:mesh.yaml") == 0
    # The manifest names where the clone is from.
    assert {path for path in expected if files()[path] != expected[path]} == {"manifest.json"}
    assert state() == before
    capsys.readouterr()


def test_a_detached_head(capsys):
    commit = git("rev-parse", "HEAD")
    git("checkout", "-q", "--detach")
    assert publish() == 0
    assert git("rev-parse", "HEAD") == commit
    assert git("rev-parse", "--abbrev-ref", "HEAD") == "HEAD"
    capsys.readouterr()


def test_a_linked_work_tree(capsys, monkeypatch):
    git("worktree", "add", "-q", "../linked")
    before = state()
    monkeypatch.chdir("../linked")
    own = state()
    assert publish() == 0
    assert state() == own
    monkeypatch.chdir("../work")
    assert state() == before
    assert tip()
    capsys.readouterr()


def test_from_a_folder_below(capsys, monkeypatch):
    Path("a/b").mkdir(parents=True)
    monkeypatch.chdir("a/b")
    assert publish("../../mesh.yaml", "--env", "prod") == 0
    first = tip()
    assert '"spec": "mesh.yaml"' in git("show", "rendered:manifest.json")
    for same in ("HEAD:mesh.yaml", "HEAD:./../../mesh.yaml", str(Path("../../mesh.yaml").resolve())):
        assert publish(same, "--env", "prod") == 0
    assert tip() == first
    capsys.readouterr()


def test_ids_of_sha256(capsys, tmp_path, monkeypatch):
    make(tmp_path / "long", "--object-format=sha256")
    monkeypatch.chdir(tmp_path / "long")
    assert publish() == 0
    assert len(tip()) == 64
    first = tip()
    assert publish() == 0
    assert tip() == first
    edit(2)
    assert publish() == 0
    assert git("rev-parse", "rendered~") == first
    assert git("fsck", "--strict") == ""
    assert publish("HEAD~1:mesh.yaml") == 2
    capsys.readouterr()


def test_no_commit_yet(capsys, tmp_path, monkeypatch):
    (tmp_path / "new").mkdir()
    monkeypatch.chdir(tmp_path / "new")
    assert publish("../work/mesh.yaml") == 2
    assert "publish from within the repository of the spec" in capsys.readouterr().err
    git("init", "-q")
    Path("mesh.yaml").write_text("x")
    assert publish() == 2
    assert "there is no commit yet" in capsys.readouterr().err
    assert publish("../work/mesh.yaml") == 2
    capsys.readouterr()


def test_nobody_to_commit_as(capsys, monkeypatch):
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.delenv(name)
    git("config", "user.useConfigOnly", "true")
    assert publish() == 2
    assert "`git config user.name NAME` and `git config user.email ADDRESS`" in capsys.readouterr().err
    assert tip() == ""
    git("config", "user.name", "n")
    git("config", "user.email", "n@example.com")
    assert publish() == 0
    assert git("log", "-1", "--format=%an %ce", "rendered") == "n n@example.com"
    capsys.readouterr()


def test_no_hook_runs(capsys):
    for name in HOOKS:
        hook = Path(".git/hooks") / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch '{Path.cwd()}/ran-{name}'\nexit 1\n")
        hook.chmod(0o755)
    git("clone", "-q", "--bare", "-c", "core.hooksPath=/dev/null", ".", "../far.git")
    git("remote", "add", "origin", "../far.git")
    assert publish() == 0
    assert publish("--branch", "far", "--push") == 0
    assert not list(Path().glob("ran-*"))
    assert tip("far", "../far.git")
    capsys.readouterr()


def test_commits_are_signed_where_the_settings_say_so(capsys):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "../key"], check=True)
    git("config", "commit.gpgsign", "true")
    git("config", "gpg.format", "ssh")
    git("config", "user.signingkey", "../absent.pub")
    assert publish() == 2
    assert "git could not commit" in capsys.readouterr().err
    assert tip() == ""
    git("config", "user.signingkey", str(Path("../key.pub").resolve()))
    assert publish() == 0
    assert "-----BEGIN SSH SIGNATURE-----" in git("cat-file", "commit", "rendered")
    first = tip()
    assert publish() == 0
    assert tip() == first
    capsys.readouterr()


def test_a_shallow_clone_says_what_it_lacks(capsys, tmp_path, monkeypatch):
    far = f"file://{Path.cwd()}"
    edit(2)
    git("clone", "-q", "--depth", "1", far, "../shallow")
    monkeypatch.chdir("../shallow")
    assert publish() == 0
    first = tip()
    assert publish() == 0
    git("branch", "-D", "rendered")
    monkeypatch.chdir("../work")
    assert publish() == 0
    edit(3)
    edit(4)
    git("clone", "-q", "--depth", "1", "--no-single-branch", far, "../later")
    monkeypatch.chdir("../later")
    capsys.readouterr()
    assert publish() == 2
    assert "too shallow to tell whether" in capsys.readouterr().err
    assert publish("main~1:mesh.yaml") == 2
    assert "`main~1` is no commit in this clone (this clone is shallow" in capsys.readouterr().err
    git("fetch", "-q", "--unshallow")
    assert publish() == 0
    assert git("rev-parse", "rendered~") == git("rev-parse", "origin/rendered")
    assert first
    capsys.readouterr()


def test_the_index_of_a_hook_is_not_written(capsys, monkeypatch):
    monkeypatch.setenv("GIT_INDEX_FILE", str(Path("index-of-a-hook").resolve()))
    assert publish("HEAD:mesh.yaml") == 0
    assert not Path("index-of-a-hook").exists()
    capsys.readouterr()
