"""`who-can-reach` and `segment`: what is said of a mesh as a whole, and written around it."""

from __future__ import annotations

import itertools
import json
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
