"""Who may call a service."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from meshctl.diagnostics import Position
from meshctl.ir.features import Feature, needs
from meshctl.ir.mtls import WorkloadIdentity


class AuthorizationMode(StrEnum):
    """Where permission comes from. DECLARED: whoever lists a call may make it."""

    DECLARED = "declared"


@dataclass(frozen=True, slots=True)
class AuthorizationRule:
    """One caller that is let in, known by its whole identity."""

    principal: WorkloadIdentity


@dataclass(frozen=True, slots=True)
class Authorization:
    """What an inbound listener lets through; everybody else is answered 403. No rule: nobody."""

    mode: Annotated[AuthorizationMode, needs(Feature.AUTHORIZATION_DECLARED)]
    rules: tuple[AuthorizationRule, ...] = ()
    at: Position | None = field(default=None, compare=False)
