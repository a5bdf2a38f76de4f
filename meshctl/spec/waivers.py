"""`waive` and `lint`: what the team has decided about findings."""

from __future__ import annotations

from typing import Any, Literal

from meshctl.spec.types import Date, FreeText, Given, Model, Name


class WaiverSpec(Model):
    """A finding that is accepted for a while, by somebody, for a reason."""

    finding: Name
    reason: FreeText
    owner: FreeText
    until: Date


class LintSpec(Model):
    """`lint`: severities and parameters by rule, for example ``{retry-amplification: {limit: 9}}``."""

    profile: Given[Literal["default"]] = None
    rules: Given[dict[Name, dict[str, Any]]] = None
