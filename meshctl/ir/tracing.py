"""Spans: what a sidecar tells a collector about the requests that pass it."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

from meshctl.diagnostics import Position
from meshctl.ir.discovery import SocketAddress
from meshctl.ir.features import Feature, needs
from meshctl.ir.written import Written


class Tracing(Written, frozen=True):
    """Spans in OTLP over gRPC, in plain HTTP/2, to ``collector``; what a span says: docs/tracing.md.

    A request whose ``traceparent`` is valid (W3C Trace Context) belongs to that trace, and has spans if its
    sampled flag is set. Any other request begins a trace, which is sampled by a draw of ``sampling``, 0 to 1. A
    collector that is slow or gone costs its spans, never a request.
    """

    collector: Annotated[SocketAddress, needs(Feature.TRACING)]
    sampling: Fraction
    at: Position | None = None
