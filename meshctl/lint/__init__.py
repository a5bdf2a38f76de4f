"""Is the mesh wise? Policies (built-in ones and the team's own) against facts on the resolved mesh."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from meshctl import ir
from meshctl.diagnostics import Finding
from meshctl.ir.reachability import Reachability
from meshctl.lint.checks.exposure import is_protected, with_reach
from meshctl.lint.collect import collect
from meshctl.lint.engine import FailedCase, evaluate, run_tests
from meshctl.lint.policy import BuiltIn
from meshctl.lint.reading import PolicySet, read_policies
from meshctl.lint.settings import configured
from meshctl.spec import Spec


def lint(
    mesh: ir.Mesh, spec: Spec, policies: PolicySet, today: date, reach: Reachability | None = None
) -> Iterator[Finding]:
    """Everything that ``policies`` find, and their own faults. Waivers are not applied here.

    Without ``reach`` whoever calls is taken to be let in; :func:`needs_reach` says when that is not good enough.
    """
    yield from policies.findings
    world = collect(mesh, spec, today)
    yield from evaluate(policies, with_reach(world, reach) if reach is not None else world)


def needs_reach(spec: Spec, policies: PolicySet) -> bool:
    """Whether some rule asks who reaches a service of the spec."""
    asking = [each for each in policies.policies if each.body == BuiltIn("exposure")]
    services = (spec.written.services or {}).values()
    return any(is_protected(one.labels or {}, each.params) for each in asking for one in services)


__all__ = [
    "FailedCase",
    "PolicySet",
    "configured",
    "evaluate",
    "lint",
    "needs_reach",
    "read_policies",
    "run_tests",
]
