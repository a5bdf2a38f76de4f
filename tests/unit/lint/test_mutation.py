"""The insides of the built-in checks: whatever is changed in them, a case of a policy tells.

`case_findings.json` holds what each check finds in each case; its diff is read before it is committed.
"""

from __future__ import annotations

import ast
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from meshctl.lint.checks import CHECKS
from meshctl.lint.policy import BuiltIn
from tests.unit.lint.case_findings import check_of, policies, report
from tests.unit.lint.mutation import Mutant, mutants
from tests.unit.lint.variants import ROOT, path_of, variant

GOLDEN = Path(__file__).parent / "case_findings.json"
PACKAGE = "meshctl.lint.checks"
MODULES = sorted({path.stem for path in (ROOT / "meshctl/lint/checks").glob("*.py")} - {"__init__"})
SHARED = {"base", "graph", "rules", "tables", "retry_amplification", "dead_route"}
"""Which others import."""
LIMIT = 2.0
"""Seconds of processor for the cases of one policy, behind which a mutant counts as endless."""
UNNOTICED: dict[str, dict[str, str]] = json.loads(
    (Path(__file__).parent / "unnoticed.json").read_text("utf-8")
)
"""By module: changes that no case can show, and why."""


def test_the_cases_find_what_they_found(update_golden):
    told = {each.slug: report(each, check_of(each)) for each in policies()}
    text = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
    if update_golden:
        GOLDEN.write_text(text, "utf-8")
    assert json.loads(GOLDEN.read_text("utf-8")) == told


class EndlessError(Exception):
    """A mutant that takes too long."""


@contextmanager
def limited() -> Iterator[None]:
    """EndlessError after the limit."""

    def stop(number: int, frame: object) -> None:
        raise EndlessError

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def is_noticed(module: str, mutant: Mutant, concerned, golden) -> bool:
    """Whether some case of a policy that is concerned is red."""
    name = f"{PACKAGE}.{module}"
    try:
        if module in SHARED:
            checks = variant([PACKAGE], {name: mutant.tree})[PACKAGE].CHECKS
        else:
            made = variant([name], {name: mutant.tree})[name].CHECK
            checks = {each.body.name: made for each in concerned}
        for each in concerned:
            with limited():
                if report(each, check_of(each, checks)) != golden[each.slug]:
                    return True
    except Exception:  # noqa: BLE001 - a case that ends so is red
        return True
    return False


def concerned_by(module: str):
    """The policies whose check is in that module, or uses it."""
    every = policies()
    if module in SHARED:
        return every
    own = {name for name, check in CHECKS.items() if check.run.__module__ == f"{PACKAGE}.{module}"}
    return [each for each in every if isinstance(each.body, BuiltIn) and each.body.name in own]


def survivors(module: str, chosen: slice = slice(None)) -> list[str]:
    """The changes that nobody notices, of those that are chosen."""
    concerned, golden = concerned_by(module), json.loads(GOLDEN.read_text("utf-8"))
    source = path_of(f"{PACKAGE}.{module}").read_text("utf-8")
    known = UNNOTICED.get(module, {})
    every = [each for each in mutants(source) if each.text not in known]
    return [
        f"{each.line}: {each.text}"
        for each in every[chosen]
        if not is_noticed(module, each, concerned, golden)
    ]


@pytest.mark.parametrize("module", sorted(set(MODULES) - SHARED))
def test_a_change_of_a_check_is_noticed(module):
    assert survivors(module, slice(20, 21)) == []


@pytest.mark.soak
@pytest.mark.parametrize("module", MODULES)
def test_every_change_of_a_check_is_noticed(module):
    source = path_of(f"{PACKAGE}.{module}").read_text("utf-8")
    golden = json.loads(GOLDEN.read_text("utf-8"))
    assert not is_noticed(module, Mutant(0, "", ast.parse(source)), concerned_by(module), golden)
    assert survivors(module) == []
