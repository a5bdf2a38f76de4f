"""Whatever `--fix` does to a random mesh with waste in it: the bundles are the same bytes, and every comment stays."""

from __future__ import annotations

import random
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from meshctl import pipeline
from meshctl.ir import Proxy
from tests.differential.drawing import drawn
from tests.differential.meshes import meshes
from tests.differential.worlds import specification
from tests.layouts import COMMENT, Hand
from tests.seconds import soak_seconds
from tests.unit.pipeline.waste import wasted

TODAY = date(2026, 11, 22)
NET = "10.1.0."


def as_text(node: Any) -> Any:
    """The nodes of a spec as the loader has them: scalars are text."""
    if isinstance(node, dict):
        return {str(key): as_text(value) for key, value in node.items()}
    if isinstance(node, list):
        return [as_text(each) for each in node]
    return str(node).lower() if isinstance(node, bool) else None if node is None else str(node)


def check(document: Any, seed: int, folder: Path, counted: Counter[str]) -> None:
    """Fix one mesh."""
    spec = as_text(specification(document, list(Proxy), NET))
    wasted(spec, random.Random(seed))
    where = folder / "mesh.yaml"
    before = Hand(seed).write(spec)
    where.write_bytes(before.encode())
    question = pipeline.Question(str(where), TODAY)
    asked = question.ask(question.view, {})
    if asked.mesh is None:
        counted["no mesh"] += 1
        return
    fixed = pipeline.fix(question)
    pipeline.write_fixes(fixed)
    after = where.read_bytes().decode()
    counted["fixed"] += len(fixed.fixed)
    counted["withheld"] += len(fixed.withheld)
    assert COMMENT.findall(after) == COMMENT.findall(before)
    found = question.ask(question.view, {})
    assert found.mesh is not None
    assert pipeline.emit(found.mesh) == pipeline.emit(asked.mesh)
    assert found.findings == fixed.linted.findings
    kinds = [Counter(each.slug for each in some.findings) for some in (asked, found)]
    assert kinds[1] <= kinds[0]
    assert (kinds[0] - kinds[1]).total() >= len(fixed.fixed)
    again = pipeline.fix(question)
    assert (again.after, again.fixed) == ({}, ())


def test_random_meshes(tmp_path):
    counted: Counter[str] = Counter()
    for number, document in enumerate(drawn(meshes(), 127, 5)):
        for service in document["services"].values():
            del service["routes"][3:]  # many routes cost lint much, and fixes are told apart by few
        check(document, number, tmp_path, counted)
    assert not counted["no mesh"], counted
    assert counted["fixed"] > 4 * counted["withheld"], counted


@pytest.mark.soak
def test_random_meshes_for_longer(tmp_path):
    counted: Counter[str] = Counter()
    for number, document in enumerate(drawn(meshes(), random.randrange(2**32), int(soak_seconds(0.2)))):
        check(document, number, tmp_path, counted)
