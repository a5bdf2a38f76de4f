"""The same spec written in another way means the same."""

from __future__ import annotations

import random
from pathlib import Path

import yaml

from meshctl import ir
from tests.fuzz.chance import Chance
from tests.fuzz.judging import plain, validated, write
from tests.fuzz.seeds import Node, Seed


def check(mesh: ir.Mesh, files: dict[str, Node], seed: Seed, chance: Chance, folder: Path) -> None:
    """Written otherwise, the spec of ``mesh`` gives the same builds, and so the same answers."""
    kind = chance.choice(sorted(WAYS))
    again = dict(files)
    dump = WAYS[kind](chance)
    if kind == "in several files":
        again = _split(again)
    if any(each in dump(node) for node in again.values() for each in ("? ", "!!")):
        return  # a long key, or a null in quotes: refused, and nothing that anyone writes
    write(folder, again, seed.blobs, dump)
    found = validated(folder)
    assert found is not None, kind
    assert found.mesh is not None, (kind, found.findings)
    assert builds(found.mesh) == builds(mesh), kind


def builds(mesh: ir.Mesh) -> list[tuple[str, str, str]]:
    """Each sidecar's build id, which is the digest of all that it does."""
    return sorted((each.service, each.instance, each.build) for each in mesh.sidecars)


def _reordered(chance: Chance):
    order = random.Random(chance.getrandbits(16))

    def turned(node: Node) -> Node:
        if isinstance(node, dict):
            keys = list(node)
            order.shuffle(keys)
            return {key: turned(node[key]) for key in keys}
        return [turned(each) for each in node] if isinstance(node, list) else node

    return lambda node: plain(turned(node))


class _Anchoring(yaml.SafeDumper):  # type: ignore[misc]
    """Anchors for containers alone."""

    def ignore_aliases(self, data):
        return not isinstance(data, (dict, list))


class _Repeating(yaml.SafeDumper):  # type: ignore[misc]
    """No anchors at all."""

    def ignore_aliases(self, data):
        return True


def _block(style: str | None, dumper: type = _Repeating):
    def dump(node: Node) -> str:
        return str(
            yaml.dump(
                node, Dumper=dumper, default_style=style, allow_unicode=True, width=1000, sort_keys=False
            )
        )

    return dump


def _shared(node: Node, known: dict[str, Node]) -> Node:
    """Equal parts are one object, which is written once and then referred to."""
    if isinstance(node, dict):
        node = {key: _shared(below, known) for key, below in node.items()}
    elif isinstance(node, list):
        node = [_shared(each, known) for each in node]
    else:
        return node
    return known.setdefault(repr(node), node)


def _with_anchors(chance: Chance):
    return lambda node: _block(None, _Anchoring)(_shared(node, {}))


def _commented(chance: Chance):
    words = (" # a comment: {", "", "", "\n# another, with 'quotes\n", "\n\n", "   ")

    def dump(node: Node) -> str:
        return "".join(line + chance.choice(words) + "\n" for line in plain(node).split("\n"))

    return dump


def _split(files: dict[str, Node]) -> dict[str, Node]:
    spec = files["mesh.yaml"]
    if not isinstance(spec, dict):
        return files
    parts = {f"part-{number}.yaml": {key: spec[key]} for number, key in enumerate(spec)}
    services = spec.get("services")
    if isinstance(services, dict) and "services" in spec:
        parts[f"part-{list(spec).index('services')}.yaml"] = {"services": dict(list(services.items())[::2])}
        parts["more/rest.yml"] = {"services": dict(list(services.items())[1::2])}
    return {**{name: node for name, node in files.items() if name != "mesh.yaml"}, **parts}


WAYS = {
    "in another order": _reordered,
    "in blocks": lambda chance: _block(None),
    "in quotes": lambda chance: _block('"'),
    "with anchors": _with_anchors,
    "with comments": _commented,
    "with other ends of lines": lambda chance: lambda node: plain(node).replace("\n", "\r\n"),
    "in several files": lambda chance: plain,
}
