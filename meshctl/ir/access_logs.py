"""The one access-log schema of the mesh."""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction
from typing import Annotated

from meshctl.diagnostics import Position
from meshctl.ir.features import Feature, Needs, needs
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


class LoggedQuery(StrEnum):
    """What of a query stands in a line: nothing, the names of its parameters with their ``&``, or all of it."""

    DROP = "drop"
    NAMES = "names"
    KEEP = "keep"


REDACTED = "[redacted]"
"""Stands for the value of a header that must not be told."""


class LoggedHeader(Written, frozen=True):
    """A request header in ``request_headers``, as it came: the value of its first line.

    Empty where there is none or its value has bytes beyond printable ASCII.
    """

    name: str
    redacted: bool


class AccessLog(Written, frozen=True):
    """One JSON object a line on standard output for every request or TCP connection, in both directions.

    Behind the keys of every line come ``query`` and ``request_headers``, where they are asked for.
    """

    enabled: Annotated[bool, needs(Feature.ACCESS_LOG)]
    headers: tuple[LoggedHeader, ...] = ()
    query: LoggedQuery = LoggedQuery.DROP
    at: Position | None = None

    @property
    def sampling(self) -> Fraction:
        """The share of the requests that went well which have a line."""
        return Fraction(1)


def _whatever_the_share(_: Fraction) -> tuple[Feature, ...]:
    return (Feature.ACCESS_LOG_SAMPLING,)


class SampledAccessLog(AccessLog, frozen=True, kw_only=True):
    """Of requests that another has answered with a status below 500, and whose ``audit`` is empty, a share has a line.

    Each by a draw of ``share``, 0 to 1, of each sidecar's own. What else there is has its line always, and metrics count
    all. A class of its own, lest who asks for no share have other builds.
    """

    share: Annotated[Fraction, Needs(_whatever_the_share)]

    @property
    def sampling(self) -> Fraction:
        return self.share
