"""`who-can-reach` and `segment`: what is said of a mesh as a whole, and written around it."""

from __future__ import annotations

import itertools
import json
import re
from http import HTTPStatus
from pathlib import Path

import yaml

from meshctl import simulate
from meshctl.simulate.reachability import reachability
from tests.fuzz import mutation
from tests.fuzz.chance import Chance
from tests.fuzz.folders import disturb, state
from tests.fuzz.judging import command, validated, write
from tests.fuzz.mutation import ODD
from tests.fuzz.seeds import Node, seeds
from tests.fuzz.watching import watched
from tests.unit.simulate.test_reachability import asked, faultless, let_in


def _spec(chance: Chance, folder: Path) -> Node:
    seed = chance.choice(seeds())
    files = seed.nodes if chance.once_in(3) else mutation.mutated(seed, chance, sound=True)
    write(folder / "spec", files, seed.blobs)
    return files["mesh.yaml"] if isinstance(files["mesh.yaml"], dict) else {}


def _names(spec: Node, *sections: str) -> list[str]:
    found = [spec.get(each) for each in sections]
    return [str(name) for each in found if isinstance(each, dict) for name in each]


def reach(chance: Chance, folder: Path) -> None:
    """Every way that is told ends where it was asked for, each of its calls is explained, and its example comes through."""
    spec = _spec(chance, folder)
    if chance.once_in(2):
        _check_examples(folder / "spec")
        return
    target = chance.choice(_names(spec, "services", "gateways", "externals") or ["web"])
    if chance.once_in(8):
        target = chance.choice(ODD).replace("\0", "")
    form = chance.choice(("text", "json", "json"))
    words = ["--all-paths"] if chance.once_in(2) else []
    code, told = command(["who-can-reach", f"--format={form}", *words, "--", target, str(folder / "spec")], folder, share=3)  # fmt: skip
    if code == 0 and form == "json":
        document = json.loads(told)
        calls = {(each["caller"], each["callee"]) for each in document["calls"]}
        for way in document["ways"]:
            assert way[-1] == target, way
            assert set(itertools.pairwise(way)) <= calls, way


def _check_examples(folder: Path) -> None:
    found = validated(folder)
    if found is None or found.mesh is None:
        return
    mesh = faultless(found.mesh)
    services = {each.service for each in mesh.sidecars}
    with watched(folder, share=3):
        permissions = reachability(mesh).permissions
    for callee, callers in permissions.items():
        for caller, each in ((caller, each) for caller, all_of in callers.items() for each in all_of):
            if each.example is None or callee not in services:
                continue
            outcome = simulate.answer(mesh, caller, asked(each.example))
            # Reach counts services that have no endpoint now.
            assert callee in let_in(outcome) or outcome.status == HTTPStatus.SERVICE_UNAVAILABLE, (
                caller,
                callee,
                each,
            )


def segment(chance: Chance, folder: Path) -> None:
    """Rules are written below their folder alone, and again the same; odd names are refused or stay words."""
    spec = _spec(chance, folder)
    form = chance.choice(("nftables", "systemd", "kubernetes"))
    services = _names(spec, "services")
    words = [f"--format={form}"]
    for option in ("application", "sidecar", "label", "namespace"):
        if chance.once_in(5):
            text = chance.choice((*ODD, "1000", "{service}", "{service}-x", "app"))
            words.append(f"--{option}={text}".replace("\0", ""))
    words += ["--intercept"] if chance.once_in(3) else []
    words += [f"--also={chance.choice(_ALSO)}"] if chance.once_in(4) else []
    if chance.once_in(3):
        words.append(f"--within={chance.choice((*services, 'x', ''))}={chance.choice(_NETWORKS)}")
    if services and chance.once_in(3):
        words.append(f"--service={chance.choice(services)}".replace("\0", ""))
    out = folder / "out"
    out.mkdir()
    (folder / "outside").mkdir()
    (folder / "outside/kept").write_bytes(b"x")
    if chance.once_in(4):
        disturb(out / chance.choice(("segmentation.json", form)), folder, chance)
    written = chance.once_in(2)
    words += ["-o", str(out)] if written else []
    before = state(folder)
    code, told = command(["segment", *words, str(folder / "spec")], folder, out, share=3)
    after = state(folder)
    strays = [
        name
        for name in {*before, *after}
        if before.get(name) != after.get(name) and not name.startswith("out")
    ]
    assert not strays, strays
    if code == 0 and form == "kubernetes":
        files = [path.read_text("utf-8") for path in out.rglob("*.yaml")] if written else [told]
        assert all(isinstance(each, dict) for text in files for each in yaml.safe_load_all(text))
    if code == 0 and written:
        command(["segment", *words, str(folder / "spec")], folder, out, share=3)
        assert state(folder) == after


def bundle(chance: Chance, folder: Path) -> None:
    """Files are written below their folder alone, and again the same; odd names are refused, or are one word of what they stand in."""
    spec = _spec(chance, folder)
    platform = chance.choice(("systemd", "compose", "kubernetes"))
    words = [f"--platform={platform}"]
    for option in _BUNDLE_OPTIONS[platform]:
        if chance.once_in(4):
            text = chance.choice((*ODD, "{service}", "/srv/a", "x-{service}", "{proxy}:{version}"))
            words.append(f"--{option}={text}".replace("\0", ""))
    services = _names(spec, "services")
    if services and platform == "kubernetes" and chance.once_in(3):
        kind = chance.choice(("StatefulSet", "DaemonSet", *ODD))
        words.append(f"--workload={chance.choice(services)}={kind}".replace("\0", ""))
    out = folder / "out"
    out.mkdir()
    (folder / "outside").mkdir()
    (folder / "outside/kept").write_bytes(b"x")
    if chance.once_in(4):
        disturb(out / chance.choice(("platforms.json", platform)), folder, chance)
    words += ["-o", str(out)]
    before = state(folder)
    code, _ = command(["bundle", *words, str(folder / "spec")], folder, out, share=3)
    after = state(folder)
    assert all(before.get(name) == after.get(name) or name.startswith("out") for name in {*before, *after})
    if code == 0:
        _check_platform(out, platform)
        command(["bundle", *words, str(folder / "spec")], folder, out, share=3)
        assert state(folder) == after


_BUNDLE_OPTIONS = {
    "systemd": ("application", "user", "bundles"),
    "compose": ("application", "bundles", "image"),
    "kubernetes": ("image", "namespace", "label"),
}
_SECTIONS = {"Unit", "Service", "Install", "Timer"}


def _check_platform(out: Path, platform: str) -> None:
    """Nothing but what is meant is said: sections and keys of units, documents and keys of YAML."""
    for path in (out / platform).rglob("*"):
        if path.suffix == ".yaml" and "files" not in path.parts:
            (document,) = yaml.load_all(path.read_text("utf-8"), yaml.CSafeLoader)
            assert set(document) <= {"services", *_KEYS}, path
        elif path.suffix in (".service", ".timer"):
            for line in path.read_text("utf-8").splitlines():
                assert (
                    not line or line[0] == "#" or line[1:-1] in _SECTIONS or re.match("[A-Z][A-Za-z]+=", line)
                ), line
            assert path.read_text("utf-8").count("ExecStart=") == (path.suffix == ".service")


_KEYS = ("apiVersion", "kind", "metadata", "spec", "components", "resources", "configMapGenerator", "patches")
_NETWORKS = (
    "10.0.0.0/16",
    "10.0.0.1",
    "::/0",
    "0.0.0.0/0",
    "10.0.0.1/8",
    "x",
    "",
    "fe80::1%eth0",
    "2001:db8::/32",
    "1",
)
_ALSO = ("127.0.0.53:53/udp", "[::1]:80", "10.0.0.0/8:99999", "10.0.0.0/8:0", ":80", "x:80", "::1:80", "0.0.0.0/0:443/tcp", "a\nb:1")  # fmt: skip
