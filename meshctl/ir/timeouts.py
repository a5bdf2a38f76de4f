"""How long a request may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

from meshctl.diagnostics import Position
from meshctl.ir.features import Feature, needs


@dataclass(frozen=True, slots=True)
class Timeout:
    """From the last byte of the request to the last byte of the response, all tries included.

    Zero switches it off. Where nobody wrote one (``at`` is None) a target may use its nearest native
    timer for our default; a written one is exact: 504 before the response head, a reset afterwards.
    """

    duration: Annotated[timedelta, needs(Feature.TIMEOUT)]
    at: Position | None = field(default=None, compare=False)

    @property
    def written(self) -> bool:
        """Whether the user asked for this timeout."""
        return self.at is not None
