"""Which endpoint of a cluster a request goes to."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from meshctl.diagnostics import Position
from meshctl.ir.features import Feature, Needs


class LoadBalancingPolicy(StrEnum):
    """The policies of the language."""

    ROUND_ROBIN = "round-robin"


_FEATURES = {LoadBalancingPolicy.ROUND_ROBIN: (Feature.ROUND_ROBIN,)}


@dataclass(frozen=True, slots=True)
class LoadBalancing:
    """The policy of one cluster; endpoint weights are honoured by all of them."""

    policy: Annotated[LoadBalancingPolicy, Needs(_FEATURES.__getitem__)]
    at: Position | None = field(default=None, compare=False)
