"""`meshctl publish --push`: what the remote has is what counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshctl.cli.app import run
from tests.publish.repositories import edit, files, git, make, state, tip, use_identity

FAR = "../far.git"


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    use_identity(monkeypatch)
    make(tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    git("clone", "-q", "--bare", ".", FAR)
    git("remote", "add", "origin", FAR)
    git("fetch", "-q", "origin")
    git("branch", "-q", "--set-upstream-to=origin/main")


def publish(*arguments):
    return run(["publish", "--verify", "none", "--push", *arguments])


def clone(name="../other"):
    git("clone", "-q", FAR, name)
    return Path(name)


def test_a_branch_comes_to_be_at_the_remote_alone(capsys):
    before = state()
    assert publish() == 0
    assert f"rendered at origin: {tip(at=FAR)[:12]}, of " in capsys.readouterr().out
    assert tip() == ""
    assert state() == before
    assert publish() == 0
    assert capsys.readouterr().out == f"rendered: up to date, {tip(at=FAR)[:12]}\n"
    first = tip(at=FAR)
    edit(2)
    assert publish() == 0
    assert git("rev-parse", "rendered~", at=FAR) == first
    capsys.readouterr()


def test_what_others_have_published_stays(capsys, monkeypatch):
    assert publish("--env", "prod", "--path", "prod") == 0
    other = clone()
    monkeypatch.chdir(other)
    assert publish("--env", "staging", "--path", "staging") == 0
    monkeypatch.chdir("../work")
    edit(2)
    assert publish("--env", "prod", "--path", "prod") == 0
    assert {path.partition("/")[0] for path in files(at=FAR)} == {"prod", "staging"}
    assert git("rev-list", "--count", "rendered", at=FAR) == "3"
    assert git("rev-list", "--merges", "rendered", at=FAR) == ""
    capsys.readouterr()


def test_what_is_newer_stays(capsys, monkeypatch):
    other = clone()
    newer = edit(2)
    git("push", "-q", "origin", "HEAD")
    assert publish() == 0
    before = tip(at=FAR)
    monkeypatch.chdir(other)
    capsys.readouterr()
    assert publish() == 2
    assert (
        f"{newer[:12]} is published, which this clone does not have: `git fetch`" in capsys.readouterr().err
    )
    git("fetch", "-q")
    assert publish() == 2
    assert f"is older than {newer[:12]}" in capsys.readouterr().err
    assert tip(at=FAR) == before
    git("merge", "-q", "--ff-only", "origin/main")
    assert publish() == 0
    assert tip(at=FAR) == before
    capsys.readouterr()


def test_what_was_published_here_is_pushed(capsys):
    assert run(["publish", "--verify", "none"]) == 0
    assert tip(at=FAR) == ""
    capsys.readouterr()
    assert publish() == 0
    assert capsys.readouterr().out == f"rendered at origin: pushed, {tip()[:12]}\n"
    assert tip(at=FAR) == tip()
    edit(2)
    assert publish() == 0
    assert tip(at=FAR) == tip()
    capsys.readouterr()


def test_without_push_it_goes_on_from_what_was_fetched(capsys, monkeypatch):
    assert publish() == 0
    monkeypatch.chdir(clone())
    edit(2)
    assert run(["publish", "--verify", "none"]) == 0
    assert git("rev-parse", "rendered~") == tip(at=FAR)
    capsys.readouterr()


def test_branches_that_have_parted_are_told_of(capsys, monkeypatch):
    other = clone()
    assert run(["publish", "--verify", "none"]) == 0
    monkeypatch.chdir(other)
    assert publish("--env", "prod") == 0
    monkeypatch.chdir("../work")
    assert publish() == 2
    assert (
        "have parted; it holds nothing that cannot be built again: `git branch -D rendered`"
        in capsys.readouterr().err
    )


def test_a_remote_that_refuses_says_why(capsys):
    hook = Path(FAR) / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'only on Tuesdays' >&2\nexit 1\n")
    hook.chmod(0o755)
    assert publish() == 2
    told = capsys.readouterr().err
    assert "origin did not take it" in told
    assert "only on Tuesdays" in told
    assert tip(at=FAR) == ""


def test_a_remote_that_is_not_there(capsys):
    git("remote", "add", "gone", "../gone.git")
    assert publish("--remote", "gone") == 2
    assert "'../gone.git' does not appear to be a git repository" in capsys.readouterr().err
    assert publish("--remote", "none") == 2
    assert "there is no remote `none` (there are: gone, origin)" in capsys.readouterr().err


def test_a_mirror(capsys, monkeypatch):
    git("clone", "-q", "--mirror", FAR, "../mirror.git")
    monkeypatch.chdir("../mirror.git")
    assert publish("HEAD:mesh.yaml") == 0
    assert tip(at=FAR)
    capsys.readouterr()


def test_no_token_in_a_query_is_recorded_or_told(capsys):
    git("config", "remote.origin.url", "https://joe:s3cret@127.0.0.1:1/shop.git?private_token=t0ken#t0ken")
    assert publish() == 2
    assert "t0ken" not in capsys.readouterr().err
    assert run(["publish", "--verify", "none"]) == 0
    assert '"repository": "https://127.0.0.1:1/shop.git"' in git("show", "rendered:manifest.json")
    assert "t0ken" not in git("log", "-1", "--format=%B", "rendered")
    capsys.readouterr()


def test_nobodys_password_is_recorded_or_told(capsys):
    git("config", "remote.origin.url", "https://joe:s3cret@127.0.0.1:1/shop.git")
    assert publish() == 2
    assert "s3cret" not in capsys.readouterr().err
    git("config", "remote.origin.url", "https://joe:s3cret@127.0.0.1:1/shop.git?token=t0ken#t0ken")
    assert run(["publish", "--verify", "none"]) == 0
    assert '"repository": "https://127.0.0.1:1/shop.git"' in git("show", "rendered:manifest.json")
    assert "Source-Repository: https://127.0.0.1:1/shop.git" in git("log", "-1", "--format=%B", "rendered")
    capsys.readouterr()
