"""Is the mesh wise? Policies (built-in ones and the team's own) against facts on the resolved mesh."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from meshctl import ir
from meshctl.diagnostics import Finding
from meshctl.lint.collect import collect
from meshctl.lint.engine import FailedCase, evaluate, run_tests
from meshctl.lint.reading import PolicySet, read_policies
from meshctl.lint.settings import configured
from meshctl.spec import Spec


def lint(mesh: ir.Mesh, spec: Spec, policies: PolicySet, today: date) -> Iterator[Finding]:
    """Everything that ``policies`` find, and their own faults. Waivers are not applied here."""
    yield from policies.findings
    yield from evaluate(policies, collect(mesh, spec, today))


__all__ = ["FailedCase", "PolicySet", "configured", "evaluate", "lint", "read_policies", "run_tests"]
