"""What two specs have in common is resolved once, and nothing shows: each mesh is that of its spec alone."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from meshctl import pipeline, resolve
from meshctl.cli.app import run
from meshctl.diagnostics import MeshctlError
from meshctl.load import Document, read_yaml
from meshctl.resolve import Resolved
from meshctl.resolve.reuse import shared
from meshctl.spec import Positions
from tests.fuzz import mutation
from tests.fuzz.chance import Chance
from tests.fuzz.judging import write
from tests.fuzz.seeds import seeds
from tests.seconds import soak_seconds
from tests.unit.simulate.reach_oracle import changed, drawn

SEED, CHANGES = 5, 15


def alike(before: str, after: str) -> int:
    """How many sidecars of the one before were taken from the other one; all is as if none had been."""
    sides = pipeline.validate_sides([before], [after])
    for side, alone in zip(sides, (pipeline.validate(each) for each in (before, after)), strict=True):
        assert side is not None
        assert (side.mesh is None) == (alone.mesh is None)
        assert (side.digest, side.texts, side.unreadable) == (alone.digest, alone.texts, alone.unreadable)
        if side.mesh is None or alone.mesh is None:
            assert side.findings == alone.findings
        else:
            made = resolve.with_builds(side.mesh)
            assert pipeline.resolved_json(made) == pipeline.resolved_json(alone.mesh)
    one, other = (each.mesh.sidecars if each and each.mesh else () for each in sides)
    return len(set(map(id, one)) & set(map(id, other)))


def save(folder: Path, document: dict) -> str:
    """A file for each service, so that most files are the same after a change."""
    mesh = {"name": "shop", "domain": "shop.mesh", "trustDomain": "shop.example"} | document["mesh"]
    files = {"mesh.yaml": {"apiVersion": "meshctl.dev/v1", "mesh": mesh}}
    for name, its in document["services"].items():
        own = its | {"port": 8080, "endpoints": [{"address": f"10.82.0.1{name[1:]}"}]}
        files[f"{name}.yaml"] = {"services": {name: own}}
    write(folder, files, {}, json.dumps)
    return str(folder)


def test_random_meshes_are_those_of_their_own_specs(tmp_path):
    draw, shared, kept = random.Random(SEED), 0, 0
    for _ in range(CHANGES):
        old = drawn(draw)
        new = changed(draw, old)
        number = alike(save(tmp_path / "before", old), save(tmp_path / "after", new))
        shared, kept = shared + number, kept + (number > 0)
    assert kept > CHANGES / 3
    assert shared > CHANGES


@pytest.mark.parametrize("nth", range(10))
def test_so_are_those_with_all_that_a_spec_can_say(nth, tmp_path):
    changed_at_random(random.Random(nth), tmp_path)


@pytest.mark.soak
def test_so_are_any_for_long(tmp_path):
    end = time.monotonic() + soak_seconds(0.3)
    while time.monotonic() < end:
        seed = random.SystemRandom().randrange(1 << 32)
        print(f"reuse: seed {seed}")
        changed_at_random(random.Random(seed), tmp_path)


def changed_at_random(draw: random.Random, folder: Path) -> None:
    chance = Chance(draw.randbytes(400))
    seed = chance.choice(seeds())
    sides = [seed.nodes, mutation.mutated(seed, chance, sound=True)]
    draw.shuffle(sides)
    for name, nodes in zip(("before", "after"), sides, strict=True):
        write(folder / name, nodes, seed.blobs)
    try:
        for each in ("before", "after"):
            pipeline.validate(str(folder / each))
    except MeshctlError:
        return
    alike(str(folder / "before"), str(folder / "after"))


SHOP = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services:
  a: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {b: {}}}
  b: {port: 80, endpoints: [{address: 10.0.0.2}], routes: [{name: r, backends: [{service: c}]}]}
  c: {port: 80, endpoints: [{address: 10.0.0.3}]}
  d: {port: 80, endpoints: [{address: 10.0.0.4}]}
gateways:
  g: {port: 8080, endpoints: [{address: 10.0.0.5}], calls: {d: {}}}
"""


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        ("port: 80,", "port: 80,", "abcdg"),
        ("10.0.0.3", "10.0.0.9", "bdg"),
        ("{service: c}", "{service: d}", "g"),
        ("calls: {b: {}}", "calls: {}", "dg"),
        ("{b: {}}", "{b: {timeout: 3s}}", "bcdg"),
        ("10.0.0.4", "10.0.0.9", "abc"),
        ("port: 8080", "port: 8081", ""),
        ("name: shop,", "name: mall,", ""),
        ("  d: {port: 80, e", "  e: {port: 80, endpoints: [{address: 10.0.0.6}]}\n  d: {port: 80, e", "abcdg"),
    ],
)  # fmt: skip
def test_who_is_the_same(old, new, kept, tmp_path):
    for name, text in (("before", SHOP), ("after", SHOP.replace(old, new))):
        (tmp_path / name).write_text(text, "utf-8")
    before, after = (pipeline.validate(str(tmp_path / each)) for each in ("before", "after"))
    assert before.spec is not None
    assert after.spec is not None
    found = shared(before.spec, Resolved(after.spec, after.require())).sidecars
    assert "".join(sorted(found)) == kept


def test_a_change_of_order_is_a_change(tmp_path):
    """Nobody has to know what an order means where it is."""
    rules = "allow: [{headers: {x-a: '1', x-b: '2'}}]"
    texts = (SHOP.replace("10.0.0.4}]", f"10.0.0.4}}], {each}") for each in (rules, rules.replace("x-a: '1', x-b: '2'", "x-b: '2', x-a: '1'")))  # fmt: skip
    for name, text in zip(("before", "after"), texts, strict=True):
        (tmp_path / name).write_text(text, "utf-8")
    assert alike(str(tmp_path / "before"), str(tmp_path / "after")) == 3


@pytest.mark.parametrize("form", ["sha1", "sha256"])
def test_two_revisions_cost_three_processes_of_git(form, tmp_path, monkeypatch):
    """Whatever the format of ids; one of them with the work tree costs two."""
    git = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    folder, counted = tmp_path / "repository", tmp_path / "counted"
    write(folder, {"mesh/mesh.yaml": {}}, {})
    (folder / "mesh/mesh.yaml").write_text(SHOP, "utf-8")
    identity = ("-c", "user.name=n", "-c", "user.email=n@example.com", "-c", "commit.gpgsign=false")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.chdir(folder)
    for arguments in (("init", "-q", f"--object-format={form}"), ("add", "."), ("commit", "-qm", "one")):
        subprocess.run([git, *identity, *arguments], check=True)
    (folder / "mesh/mesh.yaml").write_text(SHOP.replace("10.0.0.3", "10.0.0.9"), "utf-8")
    subprocess.run([git, *identity, "commit", "-qam", "two"], check=True)
    wrapper = tmp_path / "bin" / "git"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\necho "$@" >> {counted}\nexec {git} "$@"\n', "utf-8")
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
    for sides, most in (
        (["HEAD~1", "HEAD"], 3),
        (["HEAD~1"], 2),
        (["HEAD~1", "HEAD", "--spec", "mesh"], 3),
    ):
        counted.write_text("", "utf-8")
        assert run(["diff", *sides]) == 1
        assert len(counted.read_text("utf-8").splitlines()) == most


def test_what_both_hold_is_parsed_once(tmp_path, monkeypatch):
    old = drawn(random.Random(SEED))
    sides = [save(tmp_path / each, old) for each in ("before", "after")]
    (tmp_path / "after" / "mesh.yaml").write_text((tmp_path / "after/mesh.yaml").read_text() + "\n# so\n")
    read = []

    def counting(content: bytes, file: str, positions: Positions | None = None) -> Document:
        read.append(file)
        return read_yaml(content, file, positions)

    monkeypatch.setattr("meshctl.load.parsed.read_yaml", counting)
    pipeline.validate_sides(sides[:1], sides[1:])
    assert len(read) == len(old["services"]) + 2


FILE = b"services:\n  e: {port: 80, endpoints: [{address: 10.0.0.6}]}\n"


@pytest.mark.parametrize(
    "files",
    [
        {"e.yaml": FILE, "f.yaml": FILE},
        {"e.yaml": FILE + b"  e: {port: 80}\n"},
        {"e.yaml": FILE + b"\xff"},
        {"e.yaml": FILE + b"%YAML 1.1\n"},
        {"e.yaml": b""},
    ],
)
def test_faults_are_told_of_their_own_file(files, tmp_path):
    """Of two files alike, of one that cannot be read, and of an empty one."""
    for name in ("before", "after"):
        write(tmp_path / name, {}, files | {"mesh.yaml": SHOP.encode()})
    alike(str(tmp_path / "before"), str(tmp_path / "after"))
