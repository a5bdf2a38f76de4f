"""`lint --fix`: what it leaves can be read, has no more findings, all its comments, the same meaning, and nothing more to fix."""

from __future__ import annotations

import copy
import json
import re
import stat
from collections import Counter
from pathlib import Path
from typing import Any

from meshctl import pipeline
from meshctl.diagnostics import MeshctlError
from tests.fuzz import meaning, mutation
from tests.fuzz.chance import Chance
from tests.fuzz.folders import State, disturb, state
from tests.fuzz.judging import command, write
from tests.fuzz.seeds import Node, at, seeds, walk

_REMARK = re.compile(r"#=[0-9]+=")
_SPANS_LINES = re.compile(r"""[|>][0-9+-]*\r?$|(?:: |- )(?:"(?:[^"\\\n]|\\.)*|'[^'\n]*)$""", re.MULTILINE)
_INEFFECTIVE = (
    {"attempts": "0", "retryOn": ["5xx"]},
    {"attempts": "0", "perTryTimeout": "1s", "retryOn": ["reset"]},
)
_WAIVER = {"finding": "missing-timeout", "reason": "measured", "owner": "team-a", "until": "2099-12-31"}


def fix(chance: Chance, folder: Path) -> None:
    """A spec with something to fix, written in one of many styles, is fixed."""
    seed = chance.choice(seeds())
    files = copy.deepcopy(seed.nodes) if chance.randrange(3) else mutation.mutated(seed, chance, sound=True)
    for _ in range(1 + chance.randrange(4)):
        _add_fault(files["mesh.yaml"], chance)
    style = chance.choice(sorted(meaning.WAYS))
    dump = meaning.WAYS[style](chance)
    write(folder / "spec", files, seed.blobs, lambda node: _remarked(dump(node), chance))
    (folder / "outside").mkdir()
    (folder / "outside/kept").write_bytes(b"x")
    if chance.once_in(10):
        disturb(folder / "spec/mesh.yaml", folder, chance)
    words = ["--unsafe-fixes"] if chance.once_in(3) else []
    before = state(folder)
    found = _validated(folder)
    counted = _count(folder)
    _lint(folder, "--diff", *words)
    assert state(folder) == before, "a look at what would be changed has changed it"
    code, told = _lint(folder, "--fix", *words)
    after = state(folder)
    _check_files(before, after)
    if before == after:
        return
    assert code != 2 or words, told
    now = _validated(folder)
    assert now is not None, told
    if counted is not None:
        fewer = _count(folder)
        assert fewer is not None
        assert fewer.total() < counted.total() or words, (counted, fewer)
        assert not (fewer - counted) or words, fewer - counted
    if found is not None and found.mesh is not None and not words:
        assert now.mesh is not None
        assert _emitted(now) == _emitted(found)
    _lint(folder, "--fix", *words)
    assert state(folder) == after, "fixed twice is not fixed once"


def _validated(folder: Path) -> pipeline.Validated | None:
    try:
        return pipeline.validate(str(folder / "spec"))
    except MeshctlError:
        return None


def _emitted(found: pipeline.Validated) -> list[tuple[str, bytes]]:
    return sorted((each.path, each.content) for each in pipeline.emit(found.require()))


def _check_files(before: State, after: State) -> None:
    assert before.keys() == after.keys(), before.keys() ^ after.keys()
    for name, (mode, content) in before.items():
        now, text = after[name]
        if content != text:
            assert name.startswith("spec/"), name
            assert name.endswith((".yaml", ".yml")), name
            assert stat.S_ISREG(mode), name
            assert Counter(_REMARK.findall(content.decode())) == Counter(_REMARK.findall(text.decode())), name
        assert mode == now, name


def _count(folder: Path) -> Counter[tuple[str, str]] | None:
    _, told = _lint(folder, "--format=json")
    if not told.strip():
        return None
    return Counter((each["slug"], each["severity"]) for each in json.loads(told)["findings"])


def _lint(folder: Path, *words: str) -> tuple[int, str]:
    apart = "--format=json" in words
    return command(["lint", str(folder / "spec"), *words], folder, folder, share=12, errors_apart=apart)


def _remarked(text: str, chance: Chance) -> str:
    """With a remark of its own behind every so many lines of what is no block of text."""
    if _SPANS_LINES.search(text):
        return text
    often = 2 + chance.randrange(6)
    lines = text.split("\n")
    return "\n".join(
        f"{line} #={n}=" if line.strip() and n % often == 0 else line for n, line in enumerate(lines)
    )


def _add_fault(node: Node, chance: Chance) -> None:
    if not isinstance(node, dict):
        return
    paths = [path for path in walk(node) if isinstance(at(node, path), (dict, list))]
    match chance.randrange(4):
        case 0:
            _in_one(node, [path for path in paths if path[-1:] and path[-2:-1] in (("calls",), ("services",))], "retries", copy.deepcopy(chance.choice(_INEFFECTIVE)), chance)  # fmt: skip
        case 1:
            _in_one(
                node,
                [path for path in paths if path[-2:-1] == ("services",)],
                "waive",
                [dict(_WAIVER)],
                chance,
            )
        case 2:
            lists = [at(node, path) for path in paths if isinstance(at(node, path), list) and at(node, path)]
            if lists:
                chosen = chance.choice(lists)
                chosen.insert(chance.randrange(len(chosen) + 1), copy.deepcopy(chance.choice(chosen)))
        case _:
            holder: Any = at(
                node, chance.choice([path for path in paths if isinstance(at(node, path), dict)])
            )
            if holder:
                key = chance.choice(sorted(holder))
                cut = chance.randrange(len(key) + 1)
                holder[key[:cut] + chance.choice(("", "x", "s")) + key[cut + 1 :]] = holder.pop(key)


def _in_one(node: Node, paths: list[Any], key: str, value: Node, chance: Chance) -> None:
    holders = [at(node, path) for path in paths if isinstance(at(node, path), dict)]
    if holders:
        chance.choice(holders)[key] = value
