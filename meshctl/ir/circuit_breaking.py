"""How much may be under way to one callee from one sidecar."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from meshctl.diagnostics import Position
from meshctl.ir.features import Feature, needs


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """Bounds for one cluster; what goes over is answered 503 at once."""

    max_connections: Annotated[int, needs(Feature.MAX_CONNECTIONS)]
    max_requests: Annotated[int, needs(Feature.MAX_REQUESTS)]
    at: Position | None = field(default=None, compare=False)
