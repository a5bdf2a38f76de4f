"""`metrics`: whether requests are counted."""

from __future__ import annotations

from typing import Literal

from meshctl.spec.types import Model


class MetricsSpec(Model):
    """Counters, gauges and histograms for Prometheus to fetch."""

    format: Literal["prometheus"]
