"""Metrics: what a sidecar counts of the requests that pass it, for Prometheus to fetch."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from meshctl.diagnostics import Position
from meshctl.ir.features import Feature, needs
from meshctl.ir.written import Written

LABELS = ("mesh", "service", "direction", "caller", "callee", "route")
"""On both series of a request, in order; the counter has ``status`` too. What they mean: docs/metrics.md."""


class Metrics(Written, frozen=True):
    """``GET /metrics`` on the admin and the health listener, in Prometheus' text format.

    ``mesh_requests_total`` and the histogram ``mesh_request_duration_milliseconds`` count each request whose line stands in
    the access log, when it ends; ``mesh_requests_active`` those under way. ``buckets`` are the upper bounds of
    the histogram, rising, without the last one, which is endless. Of the sidecar itself ``mesh_build_info`` tells the build,
    ``mesh_certificate_expiry_timestamp_seconds`` when the certificate that it has loaded ends, and ``mesh_endpoints_ejected`` how many endpoints
    outlier detection leaves out now, by ``callee`` and ``subset``.
    """

    buckets: Annotated[tuple[timedelta, ...], needs(Feature.METRICS)]
    at: Position | None = None
