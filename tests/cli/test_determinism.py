"""The same spec gives the same bytes, whatever surrounds the build."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from meshctl import pipeline

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ("shop", "mixed")


def tree(folder):
    """Path, mode and content of every file, certificates apart: they are random and never committed."""
    return {
        str(path.relative_to(folder)): (stat.S_IMODE(path.stat().st_mode), path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "tls" not in path.relative_to(folder).parts
    }


def build(spec, out, *, cwd, **environment):
    out.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "meshctl", "build", str(spec), "-o", str(out), "--verify", "none"]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment}
    subprocess.run(command, cwd=cwd, env=env, check=True, capture_output=True)
    return tree(out)


def turkish():
    """The name of a Turkish locale (whose lower case of I is another letter), where there is one."""
    listed = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=True).stdout.split()
    return next((name for name in listed if name.startswith("tr_TR")), "tr_TR.UTF-8")


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_build_depends_on_the_spec_alone(tmp_path, name):
    example = ROOT / "examples" / name
    first = build(example, tmp_path / "first", cwd=ROOT, PYTHONHASHSEED="0", LC_ALL="C", TZ="UTC")
    assert len(first) > 10

    elsewhere = tmp_path / "another place" / "ünïcode"
    shutil.copytree(example, elsewhere, ignore=shutil.ignore_patterns(".meshctl", "build"))
    # What a build tells of the clock is at least a second's work; two builds in different seconds show it.
    time.sleep(1.1)
    others = {
        "hash seed, locale": build(
            example, tmp_path / "a", cwd=ROOT, PYTHONHASHSEED="4711", LC_ALL="C.UTF-8", TZ="Asia/Kathmandu"
        ),
        "Turkish, working folder": build(
            example, tmp_path / "b", cwd=tmp_path, PYTHONHASHSEED="random", LC_ALL=turkish()
        ),
        "another path": build(elsewhere, tmp_path / "c" / "d", cwd="/", HOME=str(tmp_path), COLUMNS="20"),
        "a relative path": build(".", tmp_path / "e", cwd=elsewhere, PYTHONUTF8="0", PYTHONOPTIMIZE="1"),
    }
    for what, made in others.items():
        assert made.keys() == first.keys(), what
        assert [path for path in first if made[path] != first[path]] == [], what


def test_a_revision_gives_what_the_work_tree_gives(tmp_path):
    shutil.copytree(
        ROOT / "examples" / "shop", tmp_path / "repository", ignore=shutil.ignore_patterns(".meshctl")
    )
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "-q", "."], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *arguments], cwd=tmp_path / "repository", check=True, capture_output=True)
    files = build(".", tmp_path / "a", cwd=tmp_path / "repository")
    assert build("HEAD:.", tmp_path / "b", cwd=tmp_path / "repository") == files


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_build_does_not_know_the_date(tmp_path, name):
    validated = pipeline.validate(str(ROOT / "examples" / name))
    for year in (1971, 2099):
        pipeline.build(validated, tmp_path / str(year), now=datetime(year, 2, 3, tzinfo=UTC), verify="none")
    assert tree(tmp_path / "1971") == tree(tmp_path / "2099")


def test_no_build_knows_where_it_was_made(tmp_path):
    build(ROOT / "examples" / "shop", tmp_path / "out", cwd=ROOT)
    for path, (_, content) in tree(tmp_path / "out").items():
        assert str(ROOT).encode() not in content, path
        assert str(tmp_path).encode() not in content, path
