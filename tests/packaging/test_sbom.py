"""The list of what a release is made of: all of the lock, the same bytes again, and a valid one."""

import json
import re
import sys
import tomllib
from pathlib import Path

import pytest

from meshctl import __version__
from scripts import sbom

ROOT = Path(__file__).resolve().parents[2]
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")

pytestmark = pytest.mark.xdist_group("wheel")


@pytest.fixture
def make(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["sbom.py", str(tmp_path)])
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    return sbom.main


def test_it_lists_what_users_install_and_is_the_same_again(make, tmp_path):
    assert make() == 0
    first = (tmp_path / f"meshctl-{__version__}.cdx.json").read_text("utf-8")
    assert sbom.rendered(__version__) == first
    document = json.loads(first)
    lock = (ROOT / sbom.LOCK).read_text("utf-8")
    assert {(each["name"], each["version"]) for each in document["components"]} == set(PIN.findall(lock))
    hashes = {
        each["content"]
        for part in document["components"]
        for place in part["externalReferences"]
        for each in place["hashes"]
    }
    assert hashes == set(HASH.findall(lock))
    root = document["metadata"]["component"]
    assert (root["name"], root["version"]) == ("meshctl", __version__)
    assert document["metadata"]["timestamp"] == "2023-11-14T22:13:20+00:00"
    assert "serialNumber" not in document
    (needs,) = [each["dependsOn"] for each in document["dependencies"] if each["ref"] == root["bom-ref"]]
    names = {each["bom-ref"]: each["name"] for each in document["components"]}
    assert {"cryptography", "pydantic", "pyyaml"} <= {names[each] for each in needs}


def test_one_that_is_not_valid_is_refused(make, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        sbom,
        "_generated",
        lambda: {"components": [], "dependencies": [], "metadata": {"component": {"bom-ref": "a"}}},
    )
    monkeypatch.setattr(tomllib, "loads", lambda _: {"project": {"dependencies": []}})
    assert make() == 1
    assert "CycloneDX" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
