"""How much may be under way to one callee from one sidecar."""

from __future__ import annotations

from dataclasses import dataclass, field

from meshctl.ir.features import FeatureUse


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """Bounds for one cluster; what goes over is answered 503 at once."""

    max_connections: int
    max_requests: int
    asks: tuple[FeatureUse, ...] = field(default=(), compare=False)
    """Each bound for itself, for the other may be our default."""
