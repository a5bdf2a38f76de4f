"""A run that is killed just before a rename leaves nothing behind that the next one does not remove."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from meshctl.cli.app import run

SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example, proxy: envoy}
services:
  web: {port: 8080, endpoints: [{address: 127.92.0.1}]}
"""
CA = Path(".meshctl/ca")
TLS = Path("build/web/tls")
MARK = "0123456789abcdef"
# Dies as by `kill -9` instead of the renaming whose target is named.
KILLED = """\
import os, signal, sys
from meshctl.cli.app import run
rename = os.rename
def die(source, target, **named):
    if target == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)
    rename(source, target, **named)
os.rename = die
sys.exit(run(sys.argv[2:]))
"""


@pytest.fixture(autouse=True)
def built(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mesh.yaml").write_text(SPEC)
    assert run(["certs", "init"]) == 0
    assert run(["build", "--ca", str(CA), "--verify", "none"]) == 0


def staged():
    return [path for path in Path().rglob("*") if re.search(r"\.[0-9a-f]{16}\.tmp$", path.name)]


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        ("issuing.pem", ["rotate-ca", "--issuing"]),
        ("issued.json", ["renew", "--force", "--ca", str(CA), "build/web"]),
        ("cert.pem.key", ["renew", "--force", "--ca", str(CA), "build/web"]),
        ("request.key", ["csr", "build/web"]),
    ],
)
def test_what_a_killed_run_left_the_same_command_removes(target, arguments):
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, target, "certs", *arguments], check=False, capture_output=True
    )
    assert ended.returncode == -signal.SIGKILL
    assert staged()
    assert run(["certs", *arguments]) == 0
    assert staged() == []


def test_a_renewal_that_has_nothing_to_do_removes_keys_all_the_same():
    (TLS / f".cert.pem.key.{MARK}.tmp").write_text("a key")
    assert run(["certs", "renew", "--ca", str(CA), "build/web"]) == 0
    assert staged() == []


def test_both_cas_of_a_rotation_are_swept():
    assert run(["certs", "rotate-ca", "--step", "begin"]) == 0
    assert run(["certs", "rotate-ca", "--step", "issue", "--deployed", "build"]) == 0
    planted = [place / f".issuing.key.{MARK}.tmp" for place in (CA, CA / "next", TLS)]
    for each in planted:
        each.write_text("a key")
    assert run(["certs", "revoke", "web"]) == 1
    assert staged() == []


def test_only_files_that_are_ours_are_removed():
    Path("elsewhere").mkdir()
    kept = [
        TLS / f"cert.pem.key.{MARK}.tmp.bak",
        TLS / ".cert.pem.key.0123.tmp",
        TLS / f".cert.pem.key.{MARK.upper()}.tmp",
        TLS / "notes.tmp",
    ]
    for each in kept:
        each.write_text("theirs")
    link, folder = TLS / f".linked.{MARK}.tmp", TLS / f".folder.{MARK}.tmp"
    link.symlink_to(Path("mesh.yaml").absolute())
    folder.mkdir()
    assert run(["certs", "renew", "--force", "--ca", str(CA), "build/web"]) == 0
    assert all(each.exists() for each in (*kept, link, folder))
    assert Path("mesh.yaml").read_text() == SPEC
