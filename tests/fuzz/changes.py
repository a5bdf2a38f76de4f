"""`diff` of a spec and the same spec changed: whatever it tells, it tells of just those sidecars whose builds are others."""

from __future__ import annotations

import json
from pathlib import Path
from unittest import mock

from meshctl import pipeline
from meshctl.cli.diff_markdown import LIMIT
from tests.fuzz import meaning, mutation
from tests.fuzz.chance import Chance
from tests.fuzz.judging import command, validated, write
from tests.fuzz.seeds import seeds


def compare(chance: Chance, folder: Path) -> None:
    """Both ways, in every format; nothing is told of a spec and itself."""
    seed = chance.choice(seeds())
    write(folder / "before", seed.nodes, seed.blobs)
    write(folder / "after", mutation.mutated(seed, chance, sound=True), seed.blobs)
    sides = [validated(folder / each) for each in ("before", "after")]
    if chance.once_in(2):
        sides.reverse()
    one, other = sides
    if one is None or other is None or one.mesh is None or other.mesh is None:
        return
    assert _diff(one, one, folder, "text")[0] == 0
    form = chance.choice(("text", "json", "markdown"))
    code, told = _diff(one, other, folder, form, *(["--rendered"] if chance.once_in(3) else []))
    builds = [{each[:2]: each[2] for each in meaning.builds(side)} for side in (one.mesh, other.mesh)]
    changed = {name for name in {*builds[0], *builds[1]} if builds[0].get(name) != builds[1].get(name)}
    assert code == 1 or not changed, changed
    assert form != "markdown" or len(told.encode()) <= LIMIT
    if form == "json":
        listed = {each["name"] for each in json.loads(told)["sidecars"]}
        assert listed == {"/".join(filter(None, name)) for name in changed}, (listed, changed)


def _diff(
    one: pipeline.Validated, other: pipeline.Validated, folder: Path, form: str, *words: str
) -> tuple[int, str]:
    arguments = ["diff", f"--spec={folder}", f"--format={form}", *words]
    with mock.patch.object(pipeline, "validate_sides", return_value=(one, other)):
        return command(arguments, folder, share=6, errors_apart=True)
