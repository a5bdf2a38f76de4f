"""Entries that are not as they were written are none, and a cache that cannot be written to is none."""

from __future__ import annotations

import errno
import os
import threading

import pytest

from meshctl.cache import store
from meshctl.cache.store import Store, folder

BODY = b"what was found out\0\xff\n"


@pytest.fixture
def kept(tmp_path):
    found = Store(str(tmp_path / "cache"))
    assert found.put("key", BODY)
    return found


@pytest.fixture
def entry(kept, tmp_path):
    (path,) = (tmp_path / "cache").iterdir()
    return path


def test_an_entry_comes_back_to_the_byte_and_belongs_to_its_owner_alone(kept, entry):
    assert kept.get("key") == BODY
    assert kept.get("other") is None
    assert entry.stat().st_mode & 0o777 == 0o600
    assert entry.parent.stat().st_mode & 0o777 == 0o700


def test_whatever_byte_is_another_there_is_no_entry(kept, entry):
    whole = entry.read_bytes()
    for at in range(len(whole)):
        for changed in (whole[at] ^ 1, whole[at] ^ 0x80):
            entry.write_bytes(whole[:at] + bytes([changed]) + whole[at + 1 :])
            assert kept.get("key") is None, at
    entry.write_bytes(whole)
    assert kept.get("key") == BODY


def test_wherever_it_is_cut_or_goes_on_there_is_no_entry(kept, entry):
    whole = entry.read_bytes()
    for size in range(len(whole)):
        entry.write_bytes(whole[:size])
        assert kept.get("key") is None, size
    entry.write_bytes(whole + b"x")
    assert kept.get("key") is None


def test_the_entry_of_another_question_is_none(kept, entry):
    assert kept.put("other", b"theirs")
    (other,) = set(entry.parent.iterdir()) - {entry}
    other.replace(entry)
    assert kept.get("key") is None


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701, 0o720])
def test_a_folder_that_others_can_look_into_is_not_used(kept, entry, mode):
    entry.parent.chmod(mode)
    assert kept.get("key") is None
    assert not kept.put("new", BODY)


def test_a_folder_of_somebody_else_is_not_used(kept, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert kept.get("key") is None
    assert not kept.put("key", BODY)


def test_a_link_is_neither_folder_nor_entry(kept, entry, tmp_path):
    (tmp_path / "link").symlink_to(entry.parent)
    assert Store(str(tmp_path / "link")).get("key") is None
    entry.rename(tmp_path / "moved")
    entry.symlink_to(tmp_path / "moved")
    assert kept.get("key") is None


def test_a_pipe_does_not_hang(kept, entry):
    entry.unlink()
    os.mkfifo(entry)
    assert kept.get("key") is None


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_on_a_full_disk_nothing_is_kept_and_nothing_is_left(kept, entry, monkeypatch, error):
    def refuse(descriptor, content):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "write", refuse)
    assert not kept.put("other", BODY)
    assert list(entry.parent.iterdir()) == [entry]
    assert kept.get("key") == BODY


def test_what_was_not_used_for_long_makes_room(kept, entry, monkeypatch):
    monkeypatch.setattr(store, "LIMIT", 1000)
    os.utime(entry, (1, 1))
    for name in "abcdefgh":
        assert kept.put(name, b"x" * 100)
    assert kept.get("key") is None
    assert kept.get("h") == b"x" * 100
    assert sum(each.stat().st_size for each in entry.parent.iterdir()) <= 1000


def test_runs_at_once_see_the_one_entry_or_the_other(kept):
    bodies = {bytes([each]) * 70_000 for each in range(4)}
    assert kept.put("shared", bytes([0]) * 70_000)
    seen = set()

    def write(body):
        for _ in range(30):
            kept.put("shared", body)

    writers = [threading.Thread(target=write, args=(each,)) for each in bodies]
    for each in writers:
        each.start()
    while any(each.is_alive() for each in writers):
        seen.add(kept.get("shared"))
    assert seen <= bodies


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"XDG_CACHE_HOME": "{tmp}/xdg"}, "{tmp}/xdg/meshctl"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "{tmp}/home"}, "{tmp}/home/.cache/meshctl"),
        ({"HOME": "{tmp}/home"}, "{tmp}/home/.cache/meshctl"),
        ({"HOME": ""}, None),
        ({}, None),
        ({"HOME": "{tmp}/home", "MESHCTL_NO_CACHE": "1"}, None),
        ({"XDG_CACHE_HOME": "{tmp}/repository/.cache"}, None),
        ({"XDG_CACHE_HOME": "{tmp}/link/.cache"}, None),
    ],
)
def test_where_entries_are_kept(tmp_path, environment, expected):
    work = tmp_path / "repository" / "mesh"
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "repository")
    work.mkdir()
    told = {name: value.format(tmp=tmp_path) for name, value in environment.items()}
    assert folder(told, str(work)) == (expected and expected.format(tmp=tmp_path))
