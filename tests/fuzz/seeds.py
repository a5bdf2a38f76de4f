"""Where mutations begin: every example and golden case, and a spec that has every key there is."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from meshctl.load import language, read_yaml

ROOT = Path(__file__).parents[2]
Node = Any
Path_ = tuple[str | int, ...]

_NOT_INPUT = ("expected", "__pycache__")
ANY = "*"
"""In a pattern: a name of the user's, or an index."""


@dataclass(frozen=True)
class Seed:
    """A folder of files: those of the spec as nodes, the others as bytes."""

    name: str
    nodes: dict[str, Node]
    blobs: dict[str, bytes]


def parsed(content: bytes) -> Node:
    """The nodes of a YAML file, every scalar still text."""
    return read_yaml(content, "seed.yaml").node


@cache
def seeds() -> tuple[Seed, ...]:
    """All of them, the small ones first."""
    folders = sorted({*ROOT.glob("examples/*"), *ROOT.glob("tests/golden/*")})
    found = [_read(each) for each in folders if (each / "mesh.yaml").is_file()]
    every_field = parsed((ROOT / "tests/unit/resolve/every_field.yaml").read_bytes())
    return (*found, Seed("every_field", {"mesh.yaml": every_field}, {}))


def _read(folder: Path) -> Seed:
    nodes, blobs = {}, {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if not path.is_file() or name.startswith(_NOT_INPUT) or path.suffix in (".py", ".md"):
            continue
        if path.suffix == ".yaml":
            nodes[name] = parsed(path.read_bytes())
        else:
            blobs[name] = path.read_bytes()
    return Seed(folder.name, nodes, blobs)


def pattern(path: Path_) -> Path_:
    """The path with every name of the user's, and every index, replaced: what stands there is of one kind."""
    return tuple(
        ANY if isinstance(key, int) or language.is_named(language.annotation_at(path[:at])) else key
        for at, key in enumerate(path)
    )


def walk(node: Node, path: Path_ = ()) -> list[Path_]:
    """The paths of all nodes, the top included."""
    found = [path]
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, below in inner:
        found += walk(below, (*path, key))
    return found


def at(node: Node, path: Path_) -> Node:
    """The node at ``path``."""
    for key in path:
        node = node[key]
    return node


@cache
def pool() -> dict[Path_, list[Node]]:
    """What the seeds have at each kind of place: a mutation may take any of it."""
    found: dict[Path_, list[Node]] = defaultdict(list)
    for seed in seeds():
        for name, node in seed.nodes.items():
            if name.endswith(".test.yaml"):
                continue
            for path in walk(node):
                piece = at(node, path)
                if path and piece not in found[pattern(path)]:
                    found[pattern(path)].append(piece)
    return dict(found)
