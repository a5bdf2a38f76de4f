"""Is the mesh wise? Policies (built-in ones and the team's own) against facts on the resolved mesh."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

from meshctl import ir
from meshctl.diagnostics import Finding
from meshctl.ir.change import MeshChange
from meshctl.lint.collect import collect
from meshctl.lint.collect_change import change as change_facts
from meshctl.lint.engine import FailedCase, about_change, evaluate, run_tests
from meshctl.lint.facts import World
from meshctl.lint.policy import Specs
from meshctl.lint.reading import PolicySet, read_policies
from meshctl.lint.settings import configured
from meshctl.spec import Spec


def lint(
    mesh: ir.Mesh, spec: Spec, policies: PolicySet, today: date, change: MeshChange | None = None
) -> Iterator[Finding]:
    """Everything that ``policies`` find, of the ``change`` that leads to ``mesh`` too, and their own faults.

    Waivers are not applied here.
    """
    yield from policies.findings
    yield from evaluate(policies, world(mesh, spec, today, change))


def world(mesh: ir.Mesh, spec: Spec, today: date, change: MeshChange | None = None) -> World:
    """All facts that rules can ask about."""
    found = collect(mesh, spec, today)
    return found if change is None else replace(found, change=change_facts(change, spec))


__all__ = [
    "FailedCase",
    "PolicySet",
    "Specs",
    "World",
    "about_change",
    "configured",
    "evaluate",
    "lint",
    "read_policies",
    "run_tests",
    "world",
]
