"""Is the mesh wise? Policies (built-in ones and the team's own) against facts on the resolved mesh."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from msgspec.structs import replace

from meshctl import ir
from meshctl.diagnostics import Finding
from meshctl.ir.change import MeshChange
from meshctl.ir.reachability import Reachability
from meshctl.lint.checks.exposure import is_protected
from meshctl.lint.collect import collect
from meshctl.lint.collect_change import change as change_facts
from meshctl.lint.collect_reach import with_reach
from meshctl.lint.engine import FailedCase, about_change, evaluate, run_tests
from meshctl.lint.facts import World
from meshctl.lint.policy import BuiltIn, Specs
from meshctl.lint.reading import PolicySet, read_policies
from meshctl.lint.settings import configured
from meshctl.spec import Spec


def lint(
    mesh: ir.Mesh,
    spec: Spec,
    policies: PolicySet,
    today: date,
    *,
    reach: Reachability | None = None,
    change: MeshChange | None = None,
) -> Iterator[Finding]:
    """Everything that ``policies`` find, of the ``change`` that leads to ``mesh`` too, and their own faults.

    Waivers are not applied here.

    Without ``reach`` whoever calls is taken to be let in; :func:`needs_reach` says when that is not good enough.
    """
    yield from policies.findings
    found = world(mesh, spec, today, change)
    yield from evaluate(policies, with_reach(found, reach) if reach is not None else found)


def world(mesh: ir.Mesh, spec: Spec, today: date, change: MeshChange | None = None) -> World:
    """All facts that rules can ask about."""
    found = collect(mesh, spec, today)
    return found if change is None else replace(found, change=change_facts(change, spec))


def needs_reach(spec: Spec, policies: PolicySet) -> bool:
    """Whether some rule asks who reaches a service of the spec."""
    asking = [each for each in policies.policies if each.body == BuiltIn("exposure")]
    services = (spec.written.services or {}).values()
    return any(is_protected(one.labels or {}, each.params) for each in asking for one in services)


__all__ = [
    "FailedCase",
    "PolicySet",
    "Specs",
    "World",
    "about_change",
    "configured",
    "evaluate",
    "lint",
    "needs_reach",
    "read_policies",
    "run_tests",
    "world",
]
