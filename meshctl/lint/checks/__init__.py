"""Built-in analyses of the call graph, one function a file; policies name them under `check`."""

from __future__ import annotations

from collections.abc import Mapping

from meshctl.lint.checks import retry_amplification, single_point_of_failure, timeout_budget_inversion
from meshctl.lint.checks.base import Check, Violation

CHECKS: Mapping[str, Check] = {
    "retry-amplification": retry_amplification.CHECK,
    "single-point-of-failure": single_point_of_failure.CHECK,
    "timeout-budget-inversion": timeout_budget_inversion.CHECK,
}
"""By the name that a policy gives."""

__all__ = ["CHECKS", "Check", "Violation"]
