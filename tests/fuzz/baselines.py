"""`lint --baseline`: files of anything in its place, and what it holds back when it is meshctl's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.fuzz import mutation
from tests.fuzz.chance import Chance
from tests.fuzz.folders import disturb, state
from tests.fuzz.judging import command, write
from tests.fuzz.mutation import ODD
from tests.fuzz.pki_files import PIECES
from tests.fuzz.seeds import seeds

_VALUES: tuple[Any, ...] = (None, True, 0, -1, 1, 2, 10**7, 10**30, 1.5, [], {}, [[]], *ODD)
_KEYS = (
    "schemaVersion",
    "mesh",
    "environment",
    "findings",
    "code",
    "slug",
    "resource",
    "message",
    "count",
    "x",
    "",
)


def compare(chance: Chance, folder: Path) -> None:
    """Written, it holds back all that it may and nothing else, and is written the same again; changed, it is read or refused."""
    seed = chance.choice(seeds())
    files = seed.nodes if chance.once_in(2) else mutation.mutated(seed, chance, sound=True)
    write(folder / "spec", files, seed.blobs)
    (folder / "outside").mkdir()
    (folder / "outside/kept").write_bytes(b"x")
    path = folder / "baseline.json"
    _, told, before = _lint(chance, folder, path, update=True)
    if not path.exists() or "was not written" in told:
        return
    if chance.once_in(3):
        _lint(chance, folder, path, update=True)
        assert state(folder) == before
        return
    _, told, _ = _lint(chance, folder, path, form="json")
    assert state(folder) == before
    left = [each for each in json.loads(told)["findings"] if each["slug"] == "unused-baseline"]
    assert not left, left
    _changed(path, folder, chance)
    before = state(folder)
    update = chance.once_in(2)
    code, told, after = _lint(chance, folder, path, update=update)
    assert update or after == before
    # What is none of ours is never written over.
    assert code != 2 or after == before, told


def _lint(
    chance: Chance, folder: Path, path: Path, *, update: bool = False, form: str = ""
) -> tuple[int, str, Any]:
    form = form or chance.choice(("text", "json", "sarif", "junit", "gitlab", "github"))
    words = ["--update-baseline"] if update else []
    arguments = ["lint", str(folder / "spec"), f"--baseline={path}", f"--format={form}", *words]
    code, told = command(arguments, folder, folder, share=4, errors_apart=form == "json")
    return code, told, state(folder)


def _changed(path: Path, folder: Path, chance: Chance) -> None:
    match chance.randrange(4):
        case 0:
            disturb(path, folder, chance)
        case 1:
            text = bytearray(path.read_bytes())
            for _ in range(1 + chance.randrange(3)):
                where = chance.randrange(len(text) + 1)
                text[where : where + chance.randrange(4)] = chance.choice(PIECES)
            path.write_bytes(text)
        case _:
            document = json.loads(path.read_bytes())
            _change(document, chance)
            path.write_text(json.dumps(document, indent=chance.choice((None, 2))), "ascii")


def _change(document: dict[str, Any], chance: Chance) -> None:
    entries = document["findings"]
    holder: Any = chance.choice([document, *entries])
    match chance.randrange(4):
        case 0:
            holder[chance.choice(_KEYS)] = chance.choice(_VALUES)
        case 1:
            holder.pop(chance.choice(sorted(holder)))
        case 2 if entries:
            entries.append(dict(chance.choice(entries)))
        case _:
            entries.extend(
                {"code": "MSH0001", "slug": "x", "resource": "", "message": str(n)} for n in range(2000)
            )
