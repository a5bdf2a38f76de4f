"""A spec from a git revision is the spec from the work tree of that revision."""

import os
import subprocess
from pathlib import Path

import pytest

from meshctl.diagnostics import UsageError
from meshctl.load import limits, read_files, read_spec


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with two commits; the work tree is ahead of both."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.chdir(tmp_path)
    git("init", "-q", "-b", "main")
    write("mesh/a.yaml", "mesh: {name: one}\n")
    write("mesh/sub/b.yml", "services: {web: {port: 1}}\n")
    write("mesh/environments/prod.yaml", "mesh: {name: prod}\n")
    write("mesh/.hidden/c.yaml", "c: d\n")
    write("mesh/a.test.yaml", "tests: []\n")
    write("meshes.yaml", "not: this\n")
    commit()
    write("mesh/a.yaml", "mesh: {name: two}\n")
    commit()
    write("mesh/a.yaml", "mesh: {name: three}\n")
    return tmp_path


def git(*arguments):
    identity = ("-c", "user.name=n", "-c", "user.email=n@example.com")
    subprocess.run(["git", *identity, *arguments], check=True, stdout=subprocess.DEVNULL)


def commit():
    git("add", "-A", "-f")
    git("commit", "-q", "-m", "x", "--no-gpg-sign")


def write(path, text):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("HEAD~1:mesh", "one"),
        ("HEAD:mesh", "two"),
        ("main:mesh/", "two"),
        ("HEAD:./mesh", "two"),
        ("mesh", "three"),
    ],
)
def test_each_revision_has_its_own(repository, location, name):
    assert read_spec(location).data["mesh"] == {"name": name}


def test_the_files_are_those_of_the_work_tree(repository):
    commit()
    here, there = read_files("mesh"), read_files("HEAD:mesh")
    assert [file.name for file in there.files] == ["HEAD:mesh/a.yaml", "HEAD:mesh/sub/b.yml"]
    assert [(file.content, file.blob) for file in there.files] == [
        (file.content, file.blob) for file in here.files
    ]


def test_a_single_file(repository):
    assert [file.name for file in read_files("HEAD:mesh/a.yaml").files] == ["HEAD:mesh/a.yaml"]


def test_the_top_of_the_repository(repository):
    paths = ["mesh/a.yaml", "mesh/environments/prod.yaml", "mesh/sub/b.yml", "meshes.yaml"]
    assert [file.name for file in read_files("HEAD:").files] == [f"HEAD:{path}" for path in paths]


def test_from_a_folder_inside(repository, monkeypatch):
    monkeypatch.chdir("mesh")
    assert read_spec("HEAD:mesh").data["mesh"] == {"name": "two"}
    assert read_spec("HEAD:./a.yaml").data["mesh"] == {"name": "two"}
    assert [file.name for file in read_files("HEAD:.").files] == ["HEAD:./a.yaml", "HEAD:./sub/b.yml"]
    with pytest.raises(UsageError, match=r"write \./path"):
        read_files("HEAD:a.yaml")


def test_a_finding_names_the_revision(repository):
    write("mesh/a.yaml", "a: [b\n")
    commit()
    (fault,) = read_spec("HEAD:mesh").findings
    assert str(fault.at) == "HEAD:mesh/a.yaml:1:4"


def test_a_file_of_that_name_comes_first(repository):
    write("HEAD:mesh", "mesh: {name: file}\n")
    assert read_spec("HEAD:mesh").data["mesh"] == {"name": "file"}


@pytest.mark.parametrize(
    "location",
    [
        "nope:mesh",
        "HEAD:nope",
        "HEAD:../mesh",
        "HEAD:/etc",
        ":mesh",
        "--help:mesh",
        "--output=x:mesh",
        "-h:mesh",
        "HEAD:mesh/*.yaml",
        "HEAD::(glob)**",
        "HEAD:mesh\x1b",
        "\x1b:mesh",
        "HEAD^{tree:mesh",
        "HEAD:mesh/a",
    ],
)
def test_what_is_not_there_is_an_error_of_usage(repository, location):
    before = sorted(Path().iterdir())
    with pytest.raises(UsageError) as told:
        read_files(location)
    assert str(told.value).isprintable()
    assert sorted(Path().iterdir()) == before


def test_outside_of_a_repository(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="not a git repository"):
        read_files("HEAD:mesh")


def test_links_are_followed_inside_the_folder_only(repository):
    Path("mesh/sub/inside.yaml").symlink_to("../.hidden/c.yaml")
    Path("mesh/outside.yaml").symlink_to("../meshes.yaml")
    Path("mesh/absolute.yaml").symlink_to("/etc/hostname")
    Path("mesh/again.yaml").symlink_to("a.yaml")
    commit()
    here, there = read_files("mesh"), read_files("HEAD:mesh")
    assert [f"HEAD:{file.name}" for file in here.files] == [file.name for file in there.files]
    assert [file.content for file in here.files] == [file.content for file in there.files]
    assert sorted(f"HEAD:{each.at.file}" for each in here.findings) == sorted(
        each.at.file for each in there.findings
    )
    assert [each.slug for each in there.findings] == ["unreadable-file"] * 2


def test_a_link_to_a_link_is_refused_and_not_taken_for_a_file(repository):
    Path("mesh/first.yaml").symlink_to("second.yaml")
    Path("mesh/second.yaml").symlink_to("a.yaml")
    commit()
    files = read_files("HEAD:mesh")
    assert [each.at.file for each in files.findings] == ["HEAD:mesh/first.yaml"]
    assert [file.name for file in files.files] == ["HEAD:mesh/a.yaml", "HEAD:mesh/sub/b.yml"]


def test_names_with_line_breaks_and_other_bytes(repository):
    write("mesh/x\ny.yaml", "n: 1\n")
    write(os.fsdecode(b"mesh/\xff.yaml"), "m: 1\n")
    commit()
    assert read_spec("HEAD:mesh").data["n"] == "1"
    assert read_spec("HEAD:mesh").data["m"] == "1"


def test_nothing_that_the_repository_configures_is_run(repository):
    write("hook", "#!/bin/sh\ntouch ran\n")
    hook = Path("hook").resolve()
    hook.chmod(0o700)
    write("mesh/.gitattributes", "*.yaml filter=evil diff=evil\n")
    commit()
    for name in ("core.fsmonitor", "core.pager", "core.sshCommand", "core.editor"):
        git("config", name, str(hook))
    for name in ("filter.evil.smudge", "filter.evil.clean", "diff.evil.textconv", "diff.external"):
        git("config", name, str(hook))
    git("config", "core.hooksPath", str(hook.parent))
    Path("ran").unlink(missing_ok=True)

    assert read_spec("HEAD:mesh").data["mesh"] == {"name": "three"}
    assert not Path("ran").exists()


def test_a_replaced_object_is_not_read(repository):
    blob = subprocess.run(
        ["git", "rev-parse", "HEAD:mesh/a.yaml"], capture_output=True, text=True, check=True
    )
    other = subprocess.run(
        ["git", "rev-parse", "HEAD:meshes.yaml"], capture_output=True, text=True, check=True
    )
    git("replace", blob.stdout.strip(), other.stdout.strip())
    assert read_spec("HEAD:mesh").data["mesh"] == {"name": "two"}


def test_two_processes_are_enough(repository, monkeypatch):
    for number in range(50):
        write(f"mesh/{number}.yaml", f"k{number}: x\n")
    commit()
    started = []
    run = subprocess.run

    def counted(*arguments, **named):
        started.append(arguments)
        return run(*arguments, **named)

    monkeypatch.setattr(subprocess, "run", counted)
    assert len(read_files("HEAD:mesh").files) == 52
    assert len(started) == 2


def test_bounds_hold_before_anything_is_read(repository, monkeypatch):
    write("mesh/big.yaml", "x" * 2000)
    commit()
    monkeypatch.setattr(limits, "FILE_BYTES", 1000)
    files = read_files("HEAD:mesh")
    assert [each.at.file for each in files.findings] == ["HEAD:mesh/big.yaml"]
    assert len(files.files) == 2
    monkeypatch.setattr(limits, "SPEC_BYTES", 30)
    assert [each.slug for each in read_files("HEAD:mesh").findings] == ["too-large", "too-large"]
