"""Wherever an apply is ended, a sidecar's files are the old ones or the new ones, and so is what it serves; the next one finishes or undoes it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from meshctl.cli.app import run
from tests.cli import applied
from tests.turns import turn

HOST = Path("host")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    root = tmp_path_factory.mktemp("seeds")
    applied.certificates(root)
    for word in ("old", "new"):
        applied.bundle(root, word)
    applied.bundle(root, "bad", "unserved")
    for word, certificates in (("old", "certs"), ("new", "newer"), ("bad", "newer")):
        (root / f"certs-{word}").symlink_to(certificates)
    return root


def killed(seeds, tmp_path, monkeypatch, *arguments: str) -> list[dict]:
    """What was seen at each point; the last of them is a run that nobody ended."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENVOY", str(seeds / "envoy"))
    for each in seeds.iterdir():
        (tmp_path / each.name).symlink_to(each)
    with turn("apply"):
        install = ["apply", "--bundle", "old", "--to", "host", "--service", "web", "--certs", "certs-old"]
        assert run(install) == 0
        with applied.running(HOST):
            ended = subprocess.run(
                [sys.executable, "-m", "tests.cli.apply_killer", *arguments],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                check=False,
                capture_output=True,
                text=True,
            )
    assert ended.returncode == 0, ended.stderr[-2000:]
    return [json.loads(line) for line in ended.stderr.splitlines() if line.startswith("{")]


def files(word: str) -> dict[str, str]:
    root = Path(word) / "web"
    own = [root / "README", root / "identity.json", *sorted((root / "envoy").iterdir())]
    return {str(each.relative_to(root)): each.read_text() for each in own}


def secrets(word: str) -> dict[str, str]:
    tls = Path(f"certs-{word}/web/tls")
    return {each.name: each.read_text() for each in tls.iterdir() if each.suffix in (".pem", ".key")}


def require_one_of(seen: dict, words: tuple[str, ...], *, settled: bool) -> None:
    """Never a mixture; ``settled``: what is served are the files that are there, and nothing else is left."""
    there = [word for word in words if seen["files"] == files(word)]
    assert there, {path: text[:40] for path, text in seen["files"].items()}
    assert seen["served"] in [applied.build_id(word) for word in words]
    if "cert.pem" in seen["tls"]:
        key = load_pem_private_key(seen["tls"]["cert.pem.key"].encode(), None).public_key()
        assert x509.load_pem_x509_certificate(seen["tls"]["cert.pem"].encode()).public_key() == key
    if settled:
        assert seen["served"] == applied.build_id(there[0])
        assert seen["tls"] == secrets(there[0])
        assert seen["releases"] == 3
        assert seen["staged"] == []


STEPS = [pytest.param(5, id="some"), pytest.param(1, id="all", marks=pytest.mark.soak)]


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_apply_leaves_the_old_or_the_new(step, seeds, tmp_path, monkeypatch):
    *points, whole = killed(seeds, tmp_path, monkeypatch, "SIGKILL", str(step), "1", "new,old")
    assert len(points) * step > 30
    for each in points:
        require_one_of(each["after"], ("old", "new"), settled=False)
        assert each["code"] == 0
        require_one_of(each["last"], ("old", "new"), settled=True)
    assert {each["last"]["served"] for each in points} == {applied.build_id("old"), applied.build_id("new")}
    require_one_of(whole["last"], (whole["word"],), settled=True)


@pytest.mark.soak
def test_so_does_one_that_is_killed_while_it_takes_back(seeds, tmp_path, monkeypatch):
    *points, whole = killed(seeds, tmp_path, monkeypatch, "SIGKILL", "1", "1", "bad")
    for each in (*points, whole):
        require_one_of(each["after"], ("old", "bad"), settled=False)
        assert each["after"]["served"] == applied.build_id("old")
        require_one_of(each["last"], ("old",), settled=True)


@pytest.mark.parametrize(
    "step", [pytest.param(9, id="some"), pytest.param(1, id="all", marks=pytest.mark.soak)]
)
@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
def test_an_interrupted_apply_takes_back_by_itself(signal, step, seeds, tmp_path, monkeypatch):
    *points, _ = killed(seeds, tmp_path, monkeypatch, signal, str(step), "0", "new,old")
    for each in points:
        assert each["code"] == 130
        require_one_of(each["last"], ("old", "new"), settled=True)


def test_nobody_else_works_there_meanwhile(seeds, tmp_path, monkeypatch):
    """Two at a time take turns, and each finds the other's work whole."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENVOY", str(seeds / "envoy"))
    shutil.copytree(seeds, tmp_path, symlinks=True, dirs_exist_ok=True)
    with turn("apply"):
        assert (
            run([*["apply", "--bundle", "old", "--to", "host", "--service", "web", "--certs", "certs-old"]])
            == 0
        )
        with applied.running(HOST):
            argv = [sys.executable, "-m", "meshctl", "apply", "--to", "host", "--bundle"]
            both = [subprocess.Popen([*argv, word]) for word in ("new", "old", "new")]
            assert [each.wait(60) for each in both] == [0, 0, 0]
            there = [word for word in ("old", "new") if applied.files(HOST) == files(word)]
            assert applied.served(HOST) == applied.build_id(there[0])
