"""Whenever a run is killed, keys are its owner's alone and out of git's sight, and the next run leaves only what is in use.

Each command is killed before everything that it changes on the disk (in `make test` three of them, and before every third change), as
Python's audit events and ``os.write`` show it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from meshctl.cli.app import run

SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example, proxy: envoy}
services:
  web: {port: 8080, endpoints: [{address: 127.108.0.1}]}
"""
KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")
STAGED = re.compile(r"\.[0-9a-f]{16}\.tmp$")

# Forks for each point, for Python takes longer to start than most of these commands to run.
KILLER = """\
import os, shutil, signal, sys
from meshctl.cli.app import run

template, step, *arguments = sys.argv[1:]
seen, last = 0, None
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.write"}


def count(event, details=()):
    global seen
    opened = event == "open" and details[2] & (os.O_WRONLY | os.O_RDWR)
    if opened or event in CHANGES:
        seen += 1
        if seen == last:
            os.kill(os.getpid(), signal.SIGKILL)


def write(*arguments, write=os.write):
    count("os.write")
    return write(*arguments)


# Once whole, for what is imported then is not imported again.
shutil.copytree(template, "whole")
os.chdir("whole")
run(arguments)
os.chdir("..")
point = int(step) // 2 + 1
while True:
    shutil.copytree(template, f"killed-{point}", symlinks=True)
    child = os.fork()
    if not child:
        os.chdir(f"killed-{point}")
        seen, last, os.write = 0, point, write
        sys.addaudithook(count)
        os._exit(run(arguments))
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        sys.exit(os.waitstatus_to_exitcode(status))
    point += int(step)
"""

CA = ".meshctl/ca"
COMMANDS = {
    "init": ((), ["certs", "init"]),
    "build": ((["certs", "init"],), ["build", "--verify", "none"]),
    "begin": ((["certs", "init"], ["build", "--verify", "none"]), ["certs", "rotate-ca", "--step", "begin"]),
    "csr": ((["build", "--verify", "none"],), ["certs", "csr", "build/web"]),
    "renew": (
        (["certs", "init"], ["build", "--verify", "none"]),
        ["certs", "renew", "--force", "--ca", CA, "build/web"],
    ),
    "finish": (
        (
            ["certs", "init"],
            ["build", "--verify", "none"],
            ["certs", "rotate-ca", "--step", "begin"],
            ["certs", "issue"],
            ["certs", "rotate-ca", "--step", "issue", "--deployed", "build"],
            ["certs", "issue"],
        ),
        ["certs", "rotate-ca", "--step", "finish", "--deployed", "build"],
    ),
}


IN_EACH_RUN = ("init", "begin", "renew")


@pytest.mark.parametrize(
    ("name", "step"),
    [
        *((name, 3) for name in IN_EACH_RUN),
        *(pytest.param(name, 1, marks=pytest.mark.soak) for name in COMMANDS),
    ],
)
def test_a_killed_run_shows_no_key_and_leaves_none(name, step, tmp_path, monkeypatch, capfd):
    before, command = COMMANDS[name]
    killed = kill_at_each_point(before, command, step, tmp_path, monkeypatch)
    assert len(killed) * step > 10
    require_out_of_sight(tmp_path)
    for each in killed:
        monkeypatch.chdir(each)
        again = run(command)
        assert again in (0, 2), capfd.readouterr().err
        if again:
            # It had been done when it was killed: a CA is not made twice, and no rotation is under way.
            assert re.search("exists and is not|no rotation of the root", capfd.readouterr().err)
        left = [path for path in Path().rglob("*") if STAGED.search(path.name)]
        assert not [path for path in left if path.is_dir() or KEY.search(path.read_bytes())], left
    require_out_of_sight(tmp_path)


def kill_at_each_point(before, command, step, tmp_path, monkeypatch):
    """The folders of the runs that were killed."""
    template = tmp_path / "template"
    template.mkdir()
    monkeypatch.chdir(template)
    Path("mesh.yaml").write_text(SPEC)
    for each in before:
        assert run(each) == 0
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    ended = subprocess.run(
        [sys.executable, "-c", KILLER, template, str(step), *command],
        cwd=tmp_path,
        check=False,
        capture_output=True,
    )
    assert ended.returncode == 0, ended.stderr
    *killed, whole = sorted(tmp_path.glob("killed-*"), key=lambda path: int(path.name.split("-")[1]))
    shutil.rmtree(whole)
    return killed


def require_out_of_sight(root):
    """No key is for others than its owner, nor would `git add -A` take one."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--others", "--exclude-standard"], cwd=root, capture_output=True, check=True
    )
    assert not [
        name
        for name in listed.stdout.split(b"\0")
        if name and KEY.search((root / os.fsdecode(name)).read_bytes())
    ]
    keys = [path for path in root.rglob("*") if path.is_file() and KEY.search(path.read_bytes())]
    assert not [path for path in keys if path.stat().st_mode & 0o077]


def test_a_folder_that_is_not_ours_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mesh.yaml").write_text(SPEC)
    mark = "0123456789abcdef"
    names = [
        f".ca.{mark}.tmp",
        f".ca.{mark[::-1]}.tmp",
        f".ca.{mark}.tmp.bak",
        f".cax.{mark}.tmp",
        ".ca.0123.tmp",
    ]
    kept = [Path(".meshctl", name) for name in names]
    for each in kept:
        each.mkdir(parents=True, mode=0o700)
    (kept[0] / "notes").write_text("theirs")
    kept[1].chmod(0o755)
    link = Path(f".meshctl/.ca.{'ab' * 8}.tmp")
    Path("elsewhere").mkdir(mode=0o700)
    link.symlink_to(Path("elsewhere").absolute())
    left = Path(f".meshctl/.ca.{'cd' * 8}.tmp")
    left.mkdir(mode=0o700)
    (left / "root.key").write_text("a key")
    assert run(["certs", "init"]) == 0
    assert all(each.exists() for each in (*kept, link, Path("elsewhere")))
    assert not left.exists()
