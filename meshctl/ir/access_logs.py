"""The one access-log schema of the mesh."""

from __future__ import annotations

from typing import Annotated

from meshctl.diagnostics import Position
from meshctl.ir.features import Feature, needs
from meshctl.ir.written import Written

ACCESS_LOG_FIELDS = (
    "time",
    "mesh",
    "service",
    "direction",
    "caller",
    "method",
    "host",
    "path",
    "route",
    "status",
    "duration_ms",
    "bytes_in",
    "bytes_out",
    "upstream",
    "tries",
    "flags",
    "audit",
    "trace_id",
    "span_id",
    "parent_id",
    "build",
)
"""The keys of a line, in order. What they mean and their types: docs/access-log.md."""


class AccessLog(Written, frozen=True):
    """One JSON object a line on standard output for every request or TCP connection, in both directions."""

    enabled: Annotated[bool, needs(Feature.ACCESS_LOG)]
    at: Position | None = None
