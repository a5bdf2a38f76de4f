"""The insides of what says whom a change lets in and what it refuses: whatever is changed in them, a case of a change tells.

`reach_change_said.json` holds what is said of each case; its diff is read before it is committed.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from meshctl.simulate.narrowing import narrowing
from meshctl.simulate.reach_change import reach_change
from tests.unit.lint.mutation import Mutant, mutants
from tests.unit.lint.test_mutation import limited
from tests.unit.lint.variants import path_of, variant
from tests.unit.simulate.changes import changes, told

GOLDEN = Path(__file__).parent / "reach_change_said.json"
NAMES = ("meshctl.simulate.rule_change", "meshctl.simulate.reach_change", "meshctl.simulate.narrowing")
UNNOTICED = json.loads((Path(__file__).parent / "reach_change_unnoticed.json").read_text("utf-8"))
"""By module: changes that no case can show, and why."""


@pytest.fixture(scope="module")
def every(tmp_path_factory):
    return changes(tmp_path_factory.mktemp("changes"))


def test_it_says_what_it_said(every, update_golden):
    said = dict(told((reach_change, narrowing), every))
    if update_golden:
        GOLDEN.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", "utf-8")
    assert json.loads(GOLDEN.read_text("utf-8")) == said


def is_noticed(name, mutant, every, golden):
    try:
        made = variant(NAMES, {name: mutant.tree})
        changed = made[NAMES[1]].reach_change, made[NAMES[2]].narrowing
        with limited():
            return any(golden[case] != said for case, said in told(changed, every))
    except Exception:  # noqa: BLE001 - a case that ends so is red
        return True


def survivors(name, every):
    golden = json.loads(GOLDEN.read_text("utf-8"))
    known = UNNOTICED[name.rpartition(".")[2]]
    made = [each for each in mutants(path_of(name).read_text("utf-8")) if each.text not in known]
    return [f"{each.line}: {each.text}" for each in made if not is_noticed(name, each, every, golden)]


@pytest.mark.soak
@pytest.mark.parametrize("name", NAMES)
def test_every_change_of_it_is_noticed(name, every):
    same = Mutant(0, "", ast.parse(path_of(name).read_text("utf-8")))
    assert not is_noticed(name, same, every, json.loads(GOLDEN.read_text("utf-8")))
    assert survivors(name, every) == []
