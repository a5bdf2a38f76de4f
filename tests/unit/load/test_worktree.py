"""Which files of a folder are read, and which are refused."""

import os
import subprocess

import pytest

from meshctl.diagnostics import UsageError
from meshctl.load import limits, read_files


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(os.fsencode(path))


def names(location="mesh"):
    return [file.name for file in read_files(location).files]


def faults(location="mesh"):
    return [(each.slug, each.at.file) for each in read_files(location).findings]


def test_a_folder_is_read_whole_and_in_order(tmp_path):
    write(tmp_path / "mesh", "b.yaml", "a/z.yml", "a.yaml", "a/b/c.yaml", "Z.yaml")
    assert names() == ["mesh/Z.yaml", "mesh/a.yaml", "mesh/a/b/c.yaml", "mesh/a/z.yml", "mesh/b.yaml"]
    assert faults() == []


@pytest.mark.parametrize(
    "path",
    [
        ".git/a.yaml",
        "a/.hidden/b.yaml",
        ".a.yaml",
        "environments/prod.yaml",
        "environments/eu/prod.yaml",
        "policies/a.yaml",
        "a.test.yaml",
        "a/b.test.yml",
        "a.txt",
        "yaml",
        "a.yaml.bak",
    ],
)
def test_what_is_not_of_the_spec_is_left_out(tmp_path, path):
    write(tmp_path / "mesh", "mesh.yaml", path)
    assert names() == ["mesh/mesh.yaml"]
    assert faults() == []


def test_only_at_the_top_those_names_are_special(tmp_path):
    write(tmp_path / "mesh", "teams/policies/a.yaml", "teams/environments/a.yaml")
    assert len(names()) == 2


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("mesh", "mesh/a.yaml"),
        ("mesh/", "mesh/a.yaml"),
        ("./mesh", "./mesh/a.yaml"),
        ("mesh/a.yaml", "mesh/a.yaml"),
    ],
)
def test_files_are_called_as_the_user_would_write_them(tmp_path, location, name):
    write(tmp_path / "mesh", "a.yaml")
    assert names(location) == [name]


def test_the_working_folder_has_no_prefix(tmp_path):
    write(tmp_path, "a.yaml")
    assert names(".") == ["a.yaml"]


def test_a_single_file_may_have_any_name(tmp_path):
    write(tmp_path, "spec.txt")
    assert names("spec.txt") == ["spec.txt"]


def test_the_blob_id_is_the_one_that_git_gives(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"a: \xff\r\n")
    (file,) = read_files("a.yaml").files
    told = subprocess.run(
        ["git", "hash-object", "--no-filters", "a.yaml"], capture_output=True, text=True, check=True
    )
    assert file.blob == told.stdout.strip()
    assert file.content == b"a: \xff\r\n"


def test_a_link_inside_the_folder_is_followed_once(tmp_path):
    # This is how Kubernetes mounts a ConfigMap.
    write(tmp_path / "mesh", "..data/a.yaml")
    (tmp_path / "mesh/a.yaml").symlink_to("..data/a.yaml")
    (tmp_path / "mesh/b.yaml").symlink_to("a.yaml")
    assert names() == ["mesh/a.yaml"]
    assert faults() == []


@pytest.mark.parametrize("goal", ["../outside.yaml", "/etc/hostname", "a/../../outside.yaml"])
def test_a_link_out_of_the_folder_is_refused(tmp_path, goal):
    write(tmp_path, "outside.yaml", "mesh/ok.yaml", "mesh/a/ok.yaml")
    (tmp_path / "mesh/x.yaml").symlink_to(goal)
    assert names() == ["mesh/a/ok.yaml", "mesh/ok.yaml"]
    assert faults() == [("unreadable-file", "mesh/x.yaml")]


def test_a_sibling_with_a_longer_name_is_outside(tmp_path):
    write(tmp_path, "mesh/ok.yaml", "mesh-2/outside.yaml")
    (tmp_path / "mesh/x.yaml").symlink_to("../mesh-2/outside.yaml")
    assert faults() == [("unreadable-file", "mesh/x.yaml")]


@pytest.mark.parametrize("goal", [".", "..", "a", "/"])
def test_a_link_to_a_folder_is_refused(tmp_path, goal):
    write(tmp_path, "mesh/a/ok.yaml")
    (tmp_path / "mesh/x").symlink_to(goal)
    assert names() == ["mesh/a/ok.yaml"]
    assert faults() == [("unreadable-file", "mesh/x")]


def test_links_in_circles_end(tmp_path):
    write(tmp_path, "mesh/ok.yaml")
    (tmp_path / "mesh/a.yaml").symlink_to("b.yaml")
    (tmp_path / "mesh/b.yaml").symlink_to("a.yaml")
    assert names() == ["mesh/ok.yaml"]
    assert [slug for slug, _ in faults()] == ["unreadable-file"] * 2


def test_the_location_itself_may_be_a_link(tmp_path):
    write(tmp_path, "real/a.yaml")
    (tmp_path / "mesh").symlink_to("real")
    (tmp_path / "mesh.yaml").symlink_to("real/a.yaml")
    assert names("mesh") == ["mesh/a.yaml"]
    assert names("mesh.yaml") == ["mesh.yaml"]


def test_a_fifo_is_refused_and_not_waited_for(tmp_path):
    write(tmp_path, "mesh/ok.yaml")
    os.mkfifo(tmp_path / "mesh/a.yaml")
    assert names() == ["mesh/ok.yaml"]
    assert faults() == [("unreadable-file", "mesh/a.yaml")]
    with pytest.raises(UsageError, match="not a regular file"):
        read_files("mesh/a.yaml")


def test_a_folder_called_like_a_file_is_a_folder(tmp_path):
    write(tmp_path, "mesh/a.yaml/b.yaml")
    assert names() == ["mesh/a.yaml/b.yaml"]


def test_a_large_file_is_refused_before_it_is_read(tmp_path):
    write(tmp_path, "mesh/ok.yaml")
    with (tmp_path / "mesh/a.yaml").open("wb") as file:
        file.truncate(50 << 20)
    assert names() == ["mesh/ok.yaml"]
    assert faults() == [("too-large", "mesh/a.yaml")]
    assert faults("mesh/a.yaml") == [("too-large", "mesh/a.yaml")]


def test_all_files_together_have_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "SPEC_BYTES", 15)
    write(tmp_path / "mesh", "a.yaml", "b.yaml", "c.yaml")
    assert names() == ["mesh/a.yaml", "mesh/b.yaml"]
    assert [slug for slug, _ in faults()] == ["too-large"]


def test_the_number_of_files_has_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "FILES", 2)
    write(tmp_path / "mesh", "a.yaml", "b.yaml", "c.yaml")
    assert [slug for slug, _ in faults()] == ["too-large"]


def test_a_name_that_a_terminal_would_obey_is_shown_escaped(tmp_path):
    write(tmp_path / "mesh", "a\x1b[31m.yaml")
    write(tmp_path / "mesh", os.fsdecode(b"\xff.yaml"))
    assert names() == ["mesh/a\\x1b[31m.yaml", "mesh/\\udcff.yaml"]


@pytest.mark.parametrize("location", ["nothing", "nothing/a.yaml", "", "a\0b", ":", ":a", "nothing\x1b"])
def test_where_nothing_is_there_is_an_error_of_usage(location):
    with pytest.raises(UsageError) as told:
        read_files(location)
    assert str(told.value).isprintable()
