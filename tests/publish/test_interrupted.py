"""Whatever ends a publication, and whoever publishes at the same time: the branch is the old or the new, and nothing is lost."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import shutil
import signal
import sys

import pytest

from meshctl.cli.app import run
from tests.publish.repositories import edit, files, git, make, state, tip, use_identity

FAR = "../far.git"
WRITING = (
    "fetch",
    "fast-import",
    "read-tree",
    "update-index",
    "write-tree",
    "commit-tree",
    "push",
    "update-ref",
)
"""What comes between two of these changes nothing."""

FORK = multiprocessing.get_context("fork")
KILLER = """\
#!/bin/sh
# Before the n-th of these commands git's caller is killed.
case " $* " in {commands}) echo x >> {count} ;; *) exec {git} "$@" ;; esac
if [ "$(wc -l < {count})" -eq {limit} ]; then kill -9 $PPID; exit 1; fi
exec {git} "$@"
"""


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    use_identity(monkeypatch)
    make(tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    git("clone", "-q", "--bare", ".", FAR)
    git("remote", "add", "origin", FAR)


@pytest.fixture(autouse=True, scope="module")
def imported(tmp_path_factory):
    """What all of them import is imported once, before they part."""
    with pytest.MonkeyPatch.context() as only, contextlib.redirect_stdout(io.StringIO()):
        use_identity(only)
        folder = tmp_path_factory.mktemp("imported") / "work"
        make(folder)
        only.chdir(folder)
        for seconds in (2, 4):
            edit(seconds)
            assert run(["publish", "--verify", "none"]) == 0


def _publish(folder, arguments, log):
    os.chdir(folder)
    with open(log, "w", encoding="utf-8") as file:  # noqa: PTH123
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        sys.stdout = sys.stderr = file
        code = run(["publish", "--verify", "none", *arguments])
        file.flush()
        os._exit(code)


def start(folder, log, *arguments):
    process = FORK.Process(target=_publish, args=(folder, arguments, log))
    process.start()
    return process


def ended(process):
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode


@pytest.mark.parametrize("arguments", [(), ("--push",)], ids=["here", "there"])
@pytest.mark.parametrize(
    ("commands", "least"),
    [
        pytest.param("|".join(f'*" {each} "*' for each in WRITING), len(WRITING) - 2, id="writing"),
        pytest.param('*" "*', 15, marks=pytest.mark.soak, id="every"),
    ],
)
def test_killed_before_each_command_of_git(tmp_path, monkeypatch, commands, least, arguments, capsys):
    at = FAR if arguments else "."
    assert run(["publish", "--verify", "none", *arguments]) == 0
    old = tip(at=at)
    edit(2)
    before = state()
    count, bin_ = tmp_path / "count", tmp_path / "bin"
    bin_.mkdir()
    real, path = shutil.which("git"), os.environ["PATH"]
    killed = 0
    while True:
        killed += 1
        count.write_text("")
        (bin_ / "git").write_text(KILLER.format(commands=commands, count=count, limit=killed, git=real))
        (bin_ / "git").chmod(0o755)
        monkeypatch.setenv("PATH", f"{bin_}:{path}")
        code = ended(start(".", tmp_path / "log", *arguments))
        monkeypatch.setenv("PATH", path)
        assert code in (0, -signal.SIGKILL), (tmp_path / "log").read_text()
        now = tip(at=at)
        assert state() == before
        if now != old:
            assert git("rev-parse", f"{now}~", at=at) == old
            assert git("fsck", "--strict", "--no-dangling", at=at) == ""
            break
        assert code != 0
    assert killed > least
    assert ended(start(".", tmp_path / "log", *arguments)) == 0
    assert tip(at=at) == now
    capsys.readouterr()


ROUNDS = [pytest.param(1), pytest.param(20, marks=pytest.mark.soak)]


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("how", ["one clone", "two clones"])
def test_two_at_once_lose_nothing(tmp_path, how, rounds, capsys):
    push = ("--push",) if how == "two clones" else ()
    at = FAR if push else "."
    other = "../other" if push else "."
    if push:
        git("clone", "-q", FAR, other)
    for turn in range(rounds):
        for folder in {".", other}:
            edit(turn + 4, folder)
        both = [
            start(".", tmp_path / "one", "--env", "prod", "--path", "prod", *push),
            start(other, tmp_path / "two", "--env", "staging", "--path", "staging", *push),
        ]
        for process, log in zip(both, ("one", "two"), strict=True):
            assert ended(process) == 0, (tmp_path / log).read_text()
        for name, folder in (("prod", "."), ("staging", other)):
            manifest = git("show", f"rendered:{name}/manifest.json", at=at)
            assert git("rev-parse", "HEAD", at=folder) in manifest
        assert git("rev-list", "--count", "rendered", at=at) == str(2 * (turn + 1))
    assert git("rev-list", "--merges", "rendered", at=at) == ""
    assert {path.partition("/")[0] for path in files(at=at)} == {"prod", "staging"}
    assert git("fsck", "--strict", "--no-dangling", at=at) == ""
    capsys.readouterr()


@pytest.mark.parametrize("rounds", ROUNDS)
def test_the_newer_of_two_at_once_wins(tmp_path, rounds, capsys):
    git("clone", "-q", FAR, "../other")
    for turn in range(rounds):
        older = edit(2 * turn + 4)
        git("push", "-q", "origin", "HEAD:main")
        git("fetch", "-q", "origin", at="../other")
        git("reset", "-q", "--hard", "origin/main", at="../other")
        newer = edit(2 * turn + 5)
        git("push", "-q", "origin", "HEAD:main")
        git("fetch", "-q", at="../other")
        both = [start("../other", tmp_path / "old", "--push"), start(".", tmp_path / "new", "--push")]
        codes = [ended(each) for each in both]
        assert codes[1] == 0, (tmp_path / "new").read_text()
        # The older is first, or refused.
        told = (tmp_path / "old").read_text()
        assert codes[0] == 0 or f"{older[:12]} is older than {newer[:12]}, which is published" in told, told
        assert f'"commit": "{newer}"' in git("show", "rendered:manifest.json", at=FAR)
    assert git("rev-list", "--merges", "rendered", at=FAR) == ""
    capsys.readouterr()


@pytest.mark.parametrize("far", [True, False], ids=["there", "here"])
def test_somebody_who_is_always_faster(tmp_path, monkeypatch, capsys, far):
    """Before each push, or move of the branch here, another publication of a folder beside is done."""
    from meshctl.publish import branch

    name, push = ("_push", ("--push",)) if far else ("_move", ())
    at = FAR if far else "."
    if far:
        git("clone", "-q", FAR, "../other")
    monkeypatch.setattr(branch, "_PAUSE", 0)
    real = getattr(branch, name)
    turns: list[str] = []

    def late(to, seen, commit):
        turns.append(edit(len(turns) + 4, "../other" if far else "."))
        with monkeypatch.context() as their:
            their.setattr(branch, name, real)
            other = start("../other" if far else ".", tmp_path / "log", "--path", "beside", *push)
            assert ended(other) == 0, (tmp_path / "log").read_text()
        return real(to, seen, commit)

    monkeypatch.setattr(branch, name, late)
    monkeypatch.setattr(branch, "ATTEMPTS", 2)
    assert run(["publish", "--verify", "none", "--path", "own", *push]) == 2
    assert "`rendered` moved 2 times meanwhile" in capsys.readouterr().err
    assert len(turns) == 2
    monkeypatch.setattr(branch, "ATTEMPTS", 10)

    def late_once(*each):
        return (late if len(turns) < 3 else real)(*each)

    monkeypatch.setattr(branch, name, late_once)
    assert run(["publish", "--verify", "none", "--path", "own", *push]) == 0
    assert {path.partition("/")[0] for path in files(at=at)} == {"beside", "own"}
    assert git("rev-list", "--count", "rendered", at=at) == "4"
    capsys.readouterr()
