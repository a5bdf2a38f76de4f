"""Built-in analyses of the call graph and of routes, one function a file; policies name them under `check`."""

from __future__ import annotations

from collections.abc import Mapping

from meshctl.lint.checks import (
    ambiguous_overlap,
    change_order,
    dead_route,
    dependency_cycle,
    exposure,
    misread_path,
    no_default_route,
    rate_limit_sum,
    reachability_changed,
    redirect_circle,
    retry_amplification,
    retry_layers,
    shadowed_rule,
    single_point_of_failure,
    timeout_budget_inversion,
    unused_definition,
    zone_loss,
)
from meshctl.lint.checks.base import Check, Violation

CHECKS: Mapping[str, Check] = {
    "ambiguous-overlap": ambiguous_overlap.CHECK,
    "change-order": change_order.CHECK,
    "dead-route": dead_route.CHECK,
    "dependency-cycle": dependency_cycle.CHECK,
    "exposure": exposure.CHECK,
    "misread-path": misread_path.CHECK,
    "no-default-route": no_default_route.CHECK,
    "rate-limit-sum": rate_limit_sum.CHECK,
    "reachability-changed": reachability_changed.CHECK,
    "redirect-circle": redirect_circle.CHECK,
    "retry-amplification": retry_amplification.CHECK,
    "retry-layers": retry_layers.CHECK,
    "shadowed-rule": shadowed_rule.CHECK,
    "single-point-of-failure": single_point_of_failure.CHECK,
    "timeout-budget-inversion": timeout_budget_inversion.CHECK,
    "unused-definition": unused_definition.CHECK,
    "zone-loss": zone_loss.CHECK,
}
"""By the name that a policy gives."""

__all__ = ["CHECKS", "Check", "Violation"]
