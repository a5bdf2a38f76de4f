"""Files that a spec names: from the work tree as from a revision, and never from outside of the spec's folder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from meshctl import pipeline
from meshctl.load import limits
from tests.behaviour.world import KEY_SETS

SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example, jwt: {issuers: {
  idp: {issuer: a, jwks: keys/idp.json}, other: {issuer: b, jwks: keys/idp.json}}}}
services: {web: {port: 80, endpoints: [{address: 10.0.0.1}]}}
"""
KEYS = (KEY_SETS / "idp.json").read_bytes()


@pytest.fixture(autouse=True)
def spec(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a" / "keys").mkdir(parents=True)
    (tmp_path / "a" / "mesh.yaml").write_text(SPEC)
    (tmp_path / "a" / "keys" / "idp.json").write_bytes(KEYS)
    return tmp_path / "a"


def commit():
    identity = ("-c", "user.name=n", "-c", "user.email=n@example.com")
    for command in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-q", "-m", "x")):
        subprocess.run(["git", *command], check=True, stdout=subprocess.DEVNULL)


LOCATIONS = ["a", "a/", "./a", "a/mesh.yaml", "HEAD:a", "HEAD:./a", "HEAD:a/mesh.yaml"]


def loaded(location):
    if location.startswith("HEAD"):
        commit()
    return pipeline.load(location)


@pytest.mark.parametrize("location", LOCATIONS)
def test_it_is_found_from_everywhere(location):
    found = loaded(location)
    assert found.spec is not None, found.findings
    assert found.spec.files == {"keys/idp.json": KEYS}


def test_it_is_found_from_its_own_folder(spec, monkeypatch):
    monkeypatch.chdir(spec)
    for location in (".", "mesh.yaml"):
        assert pipeline.load(location).spec is not None


def test_what_is_in_it_counts_for_the_digest(spec):
    before = pipeline.load("a").digest
    (spec / "keys" / "idp.json").write_bytes(KEYS + b"\n")
    assert pipeline.load("a").digest != before


@pytest.mark.parametrize("location", ["a", "HEAD:a"])
def test_a_link_inside_is_followed(spec, location):
    (spec / "keys" / "idp.json").rename(spec / "keys" / "real.json")
    (spec / "keys" / "idp.json").symlink_to("real.json")
    assert loaded(location).spec is not None


def linked_out(file: Path) -> None:
    file.unlink()
    file.symlink_to("../../outside.json")
    Path("outside.json").write_bytes(KEYS)


def linked_folder(file: Path) -> None:
    Path("outside").mkdir()
    file.rename("outside/idp.json")
    file.parent.rmdir()
    file.parent.symlink_to("../outside")


FAULTS = {
    "missing": (Path.unlink, "No such file or directory", "unreadable-file"),
    "linked out": (linked_out, "a symbolic link leads out", "unreadable-file"),
    "large": (
        lambda file: file.write_bytes(b" " * (limits.NAMED_BYTES + 1)),
        "larger than 256 KiB",
        "too-large",
    ),
    "larger than a spec": (
        lambda file: file.write_bytes(b" " * (limits.FILE_BYTES + 1)),
        "larger than 256 KiB",
        "too-large",
    ),
}


@pytest.mark.parametrize("location", ["a", "HEAD:a"])
@pytest.mark.parametrize(("spoil", "why", "slug"), FAULTS.values(), ids=FAULTS)
def test_what_cannot_be_read_is_told_wherever_it_is_named(spec, spoil, why, slug, location):
    spoil(spec / "keys" / "idp.json")
    found = loaded(location)
    assert found.spec is None
    assert found.unreadable
    assert [(each.slug, each.at.line, each.at.column) for each in found.findings] == [
        (slug, 3, 26),
        (slug, 3, 67),
    ]
    assert not any("spec" in each.fix for each in found.findings if slug == "too-large")
    assert all(why in each.message and "keys/idp.json" in each.message for each in found.findings)


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize("spoil", [linked_folder, a_folder, a_pipe])
def test_neither_a_folder_nor_a_pipe_nor_a_folder_elsewhere(spec, spoil):
    spoil(spec / "keys" / "idp.json")
    assert {each.slug for each in loaded("a").findings} == {"unreadable-file"}
