"""Twelve changes of one mesh, each a commit: `diff` says all that changed, and nothing else.

`twelve/start` is the mesh; each other folder there is the commit after the one before it, as a patch, beside what is said of
it in every format. `pytest tests/cli/test_twelve_changes.py --update-golden` rewrites what is said: read it as a user would.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from meshctl.cli import diff_sides
from meshctl.cli.app import run
from meshctl.cli.diff import DiffFormat

TWELVE = Path(__file__).parent / "twelve"
CHANGES = sorted(each.name for each in TWELVE.iterdir() if each.name != "start")
MEANINGLESS = {"07-moved-file", "08-comment-only", "09-reordered-keys"}
SUFFIX = {"text": "txt", "markdown": "md", "json": "json"}


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """The mesh with a commit for each change, tagged with its name; the work tree is that of the last one."""
    folder = tmp_path_factory.mktemp("twelve")
    shutil.copytree(TWELVE / "start", folder, dirs_exist_ok=True)
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}

    def git(*arguments):
        identity = ("-c", "user.name=n", "-c", "user.email=n@example.com", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *identity, *arguments], check=True, cwd=folder, env=environment)

    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-qm", "start")
    for each in CHANGES:
        git("apply", "--index", TWELVE / each / "change.patch")
        git("commit", "-qm", each)
        git("tag", each)
    return folder


@pytest.fixture(scope="module")
def read():
    """Both sides of a comparison, which all formats tell of: read once for all of them."""
    return cache(diff_sides.read)


@pytest.fixture
def diff(repository, read, monkeypatch, capsys):
    """What `diff` prints, and its exit code."""
    monkeypatch.chdir(repository)
    monkeypatch.setattr(diff_sides, "read", read)

    def call(*arguments):
        code = run(["diff", *arguments])
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


@pytest.mark.parametrize("form", DiffFormat)
@pytest.mark.parametrize("change", CHANGES)
def test_it_says_what_changed(change, form, diff, update_golden):
    code, out, told = diff(f"{change}~", change, "--format", form)
    expected = TWELVE / change / f"diff.{SUFFIX[form]}"
    if update_golden:
        expected.write_text(out + told, "utf-8")
    assert out + told == expected.read_text("utf-8")
    assert code == (change not in MEANINGLESS)


@pytest.mark.parametrize("change", CHANGES)
def test_the_way_back_says_so_too(change, diff):
    """Nothing that a change brings is silent where it goes again."""
    code, back, _ = diff(change, f"{change}~", "--format", "json")
    back, there = json.loads(back), json.loads((TWELVE / change / "diff.json").read_text("utf-8"))
    assert code == (change not in MEANINGLESS)
    opposite = {"added": "removed", "removed": "added", "changed": "changed", "renamed": "renamed"}
    for part in ("changes", "sidecars"):
        expected = sorted((*path, opposite[sign]) for *path, sign in _signs(there[part]))
        assert sorted(_signs(back[part])) == expected


def _signs(changes, path=()):
    for each in changes:
        names = {each["before"], each["after"]} if each["sign"] == "renamed" else {each["name"]}
        own = (*path, f"{each['what']} {' '.join(sorted(names))}")
        yield (*own, each["sign"])
        yield from _signs(each["changes"], own)


def test_the_work_tree_is_compared_as_a_commit_is(diff, repository):
    last = CHANGES[-1]
    assert diff("HEAD~", "--format", "json") == diff(f"{last}~", last, "--format", "json")
    assert diff() == (0, "", "no change\n")
