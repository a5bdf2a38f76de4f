"""Real git repositories for the tests of `meshctl publish`."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services:
  web: {port: 8080, proxy: envoy, endpoints: [{address: 10.85.0.1}], calls: {catalog: {}}}
  catalog: {port: 8080, proxy: haproxy, endpoints: [{address: 10.85.0.2}], timeout: 3s}
"""
LEDGER = "  ledger: {port: 8080, proxy: nginx, endpoints: [{address: 10.85.0.3}]}\n"
PROD = """\
mesh: {trustDomain: prod.shop.example}
services: {web: {endpoints: [{address: 10.85.1.1}]}}
"""
STAGING = PROD.replace("prod", "staging").replace("10.85.1.1", "10.85.2.1")
IDENTITY = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "c",
    "GIT_COMMITTER_EMAIL": "c@example.com",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
}


def git(*arguments: str, at: Path | str = ".") -> str:
    """What git prints."""
    run = subprocess.run(["git", *arguments], cwd=at, check=True, capture_output=True, text=True)
    return run.stdout.strip()


def make(path: Path, *options: str) -> None:
    """A repository with one commit: a spec and two environments."""
    if options:
        _initialize(path, *options)
    else:
        shutil.copytree(Path(_template().name) / "work", path)


@functools.cache
def _template() -> tempfile.TemporaryDirectory[str]:
    """What is copied, for that is ten times as fast; removed with the last who knows it."""
    folder = tempfile.TemporaryDirectory(prefix="meshctl-tests-")
    _initialize(Path(folder.name) / "work")
    return folder


def _initialize(path: Path, *options: str) -> None:
    path.mkdir(parents=True)
    git("init", "-q", "-b", "main", "--template=", *options, ".", at=path)
    (path / "environments").mkdir()
    (path / "mesh.yaml").write_text(SPEC, "utf-8")
    (path / "environments" / "prod.yaml").write_text(PROD, "utf-8")
    (path / "environments" / "staging.yaml").write_text(STAGING, "utf-8")
    save(path)


def save(path: Path | str = ".", message: str = "change") -> str:
    """Commits all there is."""
    git("add", "-A", at=path)
    git("commit", "-q", "--allow-empty", "-m", message, at=path)
    return git("rev-parse", "HEAD", at=path)


def edit(seconds: int, path: Path | str = ".") -> str:
    """A commit with another timeout."""
    (Path(path) / "mesh.yaml").write_text(SPEC.replace("3s", f"{seconds}s"), "utf-8")
    return save(path, f"timeout of {seconds}s")


def files(revision: str = "rendered", at: Path | str = ".") -> dict[str, str]:
    """Mode and blob of every file of a revision."""
    found = {}
    for line in git("ls-tree", "-r", "--full-tree", revision, at=at).splitlines():
        facts, _, path = line.partition("\t")
        found[path] = facts
    return found


def tip(branch: str = "rendered", at: Path | str = ".") -> str:
    """Empty where there is no such branch."""
    run = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}"],
        cwd=at,
        capture_output=True,
        text=True,
        check=False,
    )
    return run.stdout.strip()


def state(at: Path | str = ".") -> dict[str, object]:
    """All that a publication has to leave alone."""
    root = Path(at)
    folder = Path(git("rev-parse", "--absolute-git-dir", at=at))
    refs = git("for-each-ref", "--format=%(refname) %(objectname)", at=at).splitlines()
    return {
        "index": (folder / "index").read_bytes() if (folder / "index").exists() else b"",
        "HEAD": (folder / "HEAD").read_text(),
        "refs": [each for each in refs if "rendered" not in each],
        "status": git("--no-optional-locks", "status", "--porcelain", "--ignored", at=at)
        if (root / ".git").exists()
        else "",
        "files": {
            str(each): (each.read_bytes(), each.stat().st_mtime_ns)
            for each in sorted(root.rglob("*"))
            if each.is_file() and ".git" not in each.relative_to(root).parts and (root / ".git").exists()
        },
        "config": (folder / "config").read_bytes() if (folder / "config").exists() else b"",
        "FETCH_HEAD": (folder / "FETCH_HEAD").exists(),
        "locks": [str(each) for each in folder.rglob("*.lock")],
    }


def use_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's settings but these."""
    for name in [each for each in os.environ if each.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)
