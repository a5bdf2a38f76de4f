"""`waive` and `lint`: what the team has decided about findings."""

from __future__ import annotations

from typing import Any

from meshctl.spec.authorization import Caller
from meshctl.spec.types import Date, FreeText, Given, Model, Name


class WaiverSpec(Model):
    """A finding that is accepted for a while, by somebody, for a reason."""

    finding: Name
    reason: FreeText
    owner: FreeText
    until: Date
    caller: Given[Caller] = None
    """Of findings about somebody who calls: for this one alone."""


class LintSpec(Model):
    """`lint`: a profile, then severities and parameters by rule, for example ``{retry-amplification: {limit: 9}}``."""

    profile: Given[Name] = None
    rules: Given[dict[Name, dict[str, Any]]] = None
