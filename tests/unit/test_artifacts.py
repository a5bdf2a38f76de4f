"""What a build does to a folder that it shares with others."""

from __future__ import annotations

import json
import os

import pytest

from meshctl.artifacts import Artifact, Plan
from meshctl.diagnostics import UsageError
from meshctl.manifest import MANIFEST


def write(root, files: dict[str, str], scope=()):
    return Plan(root, [Artifact(path, text.encode()) for path, text in files.items()], scope).apply(
        {"mesh": "m"}
    )


def content(root) -> dict[str, str]:
    return {
        str(path.relative_to(root)): path.read_text()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }


def test_files_and_manifest_are_written_and_told(tmp_path):
    written = write(tmp_path / "out", {"a/x": "1", "b": "2"})
    assert written.created == ("a/x", "b")
    assert content(tmp_path / "out") == {"a/x": "1", "b": "2"}
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_text())
    assert sorted(manifest["files"]) == ["a/x", "b"]


def test_equal_files_are_not_touched(tmp_path):
    write(tmp_path, {"a": "1", "b": "2"})
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    written = write(tmp_path, {"a": "1", "b": "2"})
    assert written.unchanged == 2
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_own_stale_files_go_and_so_do_folders_that_are_empty_then(tmp_path):
    write(tmp_path, {"a/b/x": "1", "keep": "2"})
    (tmp_path / "a" / "theirs").write_text("mine")
    written = write(tmp_path, {"keep": "2"})
    assert written.removed == ("a/b/x",)
    assert content(tmp_path) == {"a/theirs": "mine", "keep": "2"}
    assert not (tmp_path / "a" / "b").exists()


def test_a_foreign_file_in_the_way_stops_everything(tmp_path):
    (tmp_path / "b").write_text("theirs")
    with pytest.raises(UsageError, match="was not made by meshctl"):
        write(tmp_path, {"a": "1", "b": "2"})
    assert content(tmp_path) == {"b": "theirs"}


def test_an_edited_file_of_ours_is_put_right(tmp_path):
    write(tmp_path, {"a": "1"})
    (tmp_path / "a").write_text("edited")
    assert write(tmp_path, {"a": "1"}).updated == ("a",)
    assert content(tmp_path) == {"a": "1"}


@pytest.mark.parametrize("link", ["folder", "file"])
def test_links_are_never_written_through(tmp_path, link):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x").write_text("theirs")
    out = tmp_path / "out"
    out.mkdir()
    if link == "folder":
        (out / "a").symlink_to(outside)
    else:
        (out / "a").mkdir()
        (out / "a" / "x").symlink_to(outside / "x")
    with pytest.raises(UsageError):
        write(out, {"a/x": "1"})
    assert (outside / "x").read_text() == "theirs"


def test_a_manifest_cannot_make_us_remove_what_is_outside(tmp_path):
    out = tmp_path / "out"
    write(out, {"a": "1"})
    (tmp_path / "victim").write_text("theirs")
    manifest = json.loads((out / MANIFEST).read_text())
    manifest["files"]["../victim"] = {"sha256": "0" * 64}
    (out / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(UsageError, match="outside"):
        write(out, {"a": "1"})
    assert (tmp_path / "victim").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schemaVersion": 99, "files": {}}', "not json"])
def test_a_manifest_of_somebody_else_is_refused(tmp_path, text):
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(UsageError):
        write(tmp_path, {"a": "1"})
    assert content(tmp_path) == {}


@pytest.mark.parametrize("path", ["a\0b", "a/" + "x" * 256, "ä" * 128, "a/" * 600 + "b", "a\nb"])
def test_a_manifest_with_what_is_no_path_is_refused(path, tmp_path):
    write(tmp_path, {"a": "1"})
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    manifest["files"][path] = {"sha256": "0" * 64}
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(UsageError, match=r"not a manifest|leads outside"):
        write(tmp_path, {"a": "2"})
    assert (tmp_path / "a").read_text() == "1"


def test_the_folder_of_another_mesh_is_refused(tmp_path):
    write(tmp_path, {"a": "1"})
    with pytest.raises(UsageError, match="holds the mesh 'm'"):
        Plan(tmp_path, [Artifact("b", b"2")], mesh="other")
    assert content(tmp_path) == {"a": "1"}
    assert Plan(tmp_path, [Artifact("a", b"1")], mesh="m").changed == ()


def test_a_scope_leaves_the_rest_of_ours_alone(tmp_path):
    write(tmp_path, {"web/x": "1", "web/old": "1", "stock/x": "2"})
    written = write(tmp_path, {"web/x": "3"}, scope=("web/",))
    assert written.removed == ("web/old",)
    assert content(tmp_path) == {"web/x": "3", "stock/x": "2"}
    assert write(tmp_path, {"web/x": "3", "stock/x": "2"}).unchanged == 2


def test_a_killed_write_leaves_whole_files_only(tmp_path, monkeypatch):
    write(tmp_path, {"a": "old", "b": "old"})
    replace, done = os.replace, list[str]()

    def dies(source, target):
        if done:
            raise KeyboardInterrupt
        done.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, {"a": "new", "b": "new"})
    assert content(tmp_path) == {"a": "new", "b": "old"}
    monkeypatch.undo()
    assert write(tmp_path, {"a": "new", "b": "new"}).updated == ("b",)


def cut_short(monkeypatch, at):
    """The next write ends as by a full disk when it comes to the file ``at``."""
    real = os.replace

    def full(source, target):
        if str(target).endswith(at):
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", full)


def test_after_a_write_that_was_cut_short_another_one_goes_on(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        cut_short(patch, "c")
        with pytest.raises(OSError, match="No space"):
            write(tmp_path, {"a/x": "1", "b": "2", "c": "3", "d": "3"})
    assert content(tmp_path) | {f"{MANIFEST}.unfinished": ""} == {
        "a/x": "1",
        "b": "2",
        f"{MANIFEST}.unfinished": "",
    }
    written = write(tmp_path, {"b": "4", "c": "3"})
    assert (written.created, written.updated, written.removed) == (("c",), ("b",), ("a/x",))
    assert content(tmp_path) == {"b": "4", "c": "3"}


def test_what_a_scope_leaves_of_a_write_that_was_cut_short_can_be_written_later(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        cut_short(patch, "b/z")
        with pytest.raises(OSError, match="No space"):
            write(tmp_path, {"a/x": "1", "a/y": "1", "b/z": "2"})
    write(tmp_path, {"b/z": "2"}, scope=("b/",))
    assert sorted(json.loads((tmp_path / MANIFEST).read_text())["files"]) == ["b/z"]
    assert (tmp_path / "a/y").exists()
    assert write(tmp_path, {"a/x": "5", "b/z": "2"}).removed == ("a/y",)
    assert content(tmp_path) == {"a/x": "5", "b/z": "2"}


def test_another_mesh_does_not_take_what_was_cut_short(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        cut_short(patch, "b")
        with pytest.raises(OSError, match="No space"):
            write(tmp_path, {"a": "1", "b": "2"})
    with pytest.raises(UsageError, match="holds the mesh 'm'"):
        Plan(tmp_path, [Artifact("a", b"3")], mesh="other")


def test_an_executable_file_is_so_for_everybody_who_may_read_it(tmp_path):
    Plan(tmp_path, [Artifact("run", b"#!/bin/sh\n", executable=True)]).apply({})
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o755


def test_a_folder_in_the_place_of_an_old_file_stops_everything(tmp_path):
    write(tmp_path, {"a": "1", "b": "1"})
    (tmp_path / "a").unlink()
    (tmp_path / "a").mkdir()
    with pytest.raises(UsageError, match="not a regular file"):
        write(tmp_path, {"b": "2"})
    assert content(tmp_path) == {"b": "1"}
