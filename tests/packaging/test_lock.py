"""The locks: fresh, hashed, and silent about where to download from."""

import re
from pathlib import Path

import pytest

from scripts import lock

PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)
LOCKS = list(lock.LOCKS)


def text_of(path):
    return (lock.ROOT / path).read_text(encoding="utf-8")


def test_locks_belong_to_pyproject():
    assert lock.stale() == []


def test_a_forgotten_lock_is_found(tmp_path, monkeypatch):
    for path in (*LOCKS, Path("pyproject.toml")):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text_of(path), encoding="utf-8")
    monkeypatch.setattr(lock, "ROOT", tmp_path)
    pyproject = tmp_path / "pyproject.toml"

    pyproject.write_text("# a comment changes nothing\n" + pyproject.read_text("utf-8"), encoding="utf-8")
    assert lock.stale() == []

    pyproject.write_text(pyproject.read_text("utf-8").replace('"rich>=', '"rich>9,>='), encoding="utf-8")
    assert lock.stale() == LOCKS


@pytest.mark.parametrize("path", LOCKS, ids=str)
def test_lock_names_no_place(path):
    text = text_of(path)
    assert "://" not in text
    assert not re.search(r"^\s*--(?!hash=)", text, re.MULTILINE)


def test_users_get_the_versions_that_were_tested():
    tested = set(PIN.findall(text_of(lock.DEV)))
    assert set(PIN.findall(text_of(lock.RUNTIME))) <= tested
