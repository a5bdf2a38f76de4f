"""What a build writes: only below its folder, readable by others, the same again, and nothing in it but what was meant."""

from __future__ import annotations

import copy
import json
import os
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from meshctl import ir, pipeline
from meshctl.artifacts import Artifact, Plan
from meshctl.diagnostics import MeshctlError
from meshctl.load import language
from tests.fuzz.chance import Chance
from tests.fuzz.judging import refused, validated, write
from tests.fuzz.mutation import scalars
from tests.fuzz.readers import Read, changed_alike, read
from tests.fuzz.seeds import Node, Path_, at, pattern, seeds
from tests.fuzz.watching import watched

PROXIES_ARE_ASKED = "MESHCTL_FUZZ_PROXIES" in os.environ
"""Whether a share of what is built is shown to the real proxies: they take seconds, where all else takes some hundredths."""

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))


def check_build(found: pipeline.Validated, out: Path) -> None:
    """Build twice into ``out``: the second time nothing changes."""
    with watched(out, out, share=3):
        first = pipeline.build(found, out, now=NOW, verify="none")
        second = pipeline.build(found, out, now=NOW, verify="none")
    assert not second.written.changed, second.written
    on_disk = {str(path.relative_to(out)) for path in out.rglob("*") if not path.is_dir()}
    listed = json.loads((out / "manifest.json").read_text("utf-8"))["files"]
    assert on_disk == {*first.written.created, "manifest.json"} == {*listed, "manifest.json"}
    for name in on_disk:
        assert not (out / name).is_symlink()
        read(name, (out / name).read_bytes())


def check_proxies(found: pipeline.Validated, out: Path) -> None:
    """Each proxy takes its own bundles, without a warning. Raises ToolError."""
    pipeline.build(found, out, now=NOW, verify="all")


def check_injection(chance: Chance, folder: Path) -> None:
    """One text of a sound spec is replaced twice, by letters and by signs: the outputs differ in nothing but it."""
    seed = chance.choice(seeds())
    spec = seed.nodes["mesh.yaml"]
    places = [path for path in scalars(spec) if len(allowed(pattern(path), at(spec, path)[:1])) > 1]
    if not places:
        return
    path = chance.choice(places)
    letters, signs = _texts(chance, pattern(path), at(spec, path))
    proxy = chance.choice(tuple(ir.Proxy))
    made = []
    for text in (letters, signs):
        changed = copy.deepcopy(spec)
        at(changed, path[:-1])[path[-1]] = text
        write(folder / "spec", {**seed.nodes, "mesh.yaml": changed}, seed.blobs)
        found = validated(folder / "spec", proxy=proxy)
        if found is None or found.mesh is None:
            return
        made.append(_without_builds(pipeline.emit(found.mesh), found.mesh))
    one, other = made
    assert one.keys() == other.keys(), (path, signs, one.keys() ^ other.keys())
    for name in one:
        fault = changed_alike(one[name], other[name], (letters, signs))
        assert not fault, (proxy, seed.name, path, signs, name, fault)


@cache
def allowed(kind: Path_, first: str) -> str:
    """The signs that a text of that kind may have inside; empty where it is no free text."""
    example = [0 if each == "*" else each for each in kind]
    annotation = language.annotation_at(_real(example))
    if not language.accepts(annotation, f"{first}qZw8z") or not language.accepts(annotation, f"{first}Wv7zq"):
        return ""
    return "".join(each for each in PRINTABLE if language.accepts(annotation, f"{first}{each}z"))


def _real(path: list[str | int]) -> list[str | int]:
    """With names where the language has names."""
    found: list[str | int] = []
    for each in path:
        named = language.is_named(language.annotation_at(found))
        found.append("a" if each == 0 and named else each)
    return found


def _texts(chance: Chance, kind: Path_, written: str) -> tuple[str, str]:
    """Two texts of the same length: letters, and whatever may stand there."""
    first = written[:1]
    signs = [each for each in allowed(kind, first) if not each.isalnum()] or ["z"]
    size = 2 + chance.randrange(14)
    text = "".join(chance.choice(signs) if chance.randrange(3) else chance.choice("aZ9") for _ in range(size))
    return f"{first}{'qv' * size}"[: size + 1] + "z", f"{first}{text}z"


def _without_builds(artifacts: tuple[Artifact, ...], mesh: ir.Mesh) -> dict[str, Read]:
    found = {}
    for each in artifacts:
        content = each.content
        for sidecar in mesh.sidecars:
            # Whole, or its beginning, which NGINX's sidecars tell each other's workers by.
            digest = sidecar.build.removeprefix("sha256:")
            for text in (sidecar.build, digest, digest[:16]):
                content = content.replace(text.encode(), b"build")
        if not each.path.endswith("check.json") and b"version_info" not in content:
            found[each.path] = read(each.path, content)
    return found


def manifests(chance: Chance, folder: Path) -> None:
    """A build over a manifest that somebody else wrote: nothing outside the folder is touched."""
    out = folder / "out"
    write(folder, {}, {"outside": b"x", "out/web/envoy/run": b"old", "out/other": b"x"})
    (out / "link").symlink_to(folder)
    names = (
        "../outside",
        "/etc/passwd",
        "link/outside",
        "web/envoy/run",
        "other",
        "a/../../outside",
        "",
        ".",
        "a\0b",
        "web",
        "x" * 300,
    )
    document: Node = {
        "schemaVersion": chance.choice((1, 1, 1, 1, 2, None)),
        "mesh": chance.choice(("shop", "shop", "shop", None, [])),
        "files": {
            chance.choice(names): chance.choice(
                ({"sha256": "0" * 64}, {"sha256": "0" * 64}, None, {"sha256": "x"})
            )
            for _ in range(3)
        },
    }
    text = chance.choice(
        (json.dumps(document), json.dumps(document), "[" * 5000, "{", "\udcff", "null", "1e999")
    )
    (out / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    wanted = [
        Artifact(
            chance.choice(("web/envoy/run", "other", "link/x", "new")), b"new", executable=chance.once_in(2)
        )
    ]
    with watched(folder, out):
        try:
            Plan(out, wanted, (), "shop").apply({"mesh": "shop"})
        except MeshctlError as error:
            refused(error)
    assert (folder / "outside").read_bytes() == b"x"
    assert sorted(each.name for each in folder.iterdir()) == ["out", "outside"]
