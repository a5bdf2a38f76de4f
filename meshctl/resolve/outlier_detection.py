"""Outlier detection: off where the spec is silent; maps of all layers merge field by field."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

from meshctl import ir
from meshctl.resolve.layers import Layers, merged

DEFAULT_CONSECUTIVE_ERRORS = 5
DEFAULT_INTERVAL = timedelta(seconds=10)
DEFAULT_EJECTION_TIME = timedelta(seconds=30)
DEFAULT_MAX_EJECTED = Fraction(1, 2)


def outlier_detection(layers: Layers) -> ir.OutlierDetection | None:
    """When an endpoint of a cluster is left alone, and for how long."""
    written, at = merged(layers, "outlier_detection", "outlierDetection")
    if written is None:
        return None
    return ir.OutlierDetection(
        consecutive_errors=written.get("consecutive_errors", DEFAULT_CONSECUTIVE_ERRORS),
        interval=written.get("interval", DEFAULT_INTERVAL),
        ejection_time=written.get("base_ejection_time", DEFAULT_EJECTION_TIME),
        max_ejected=written.get("max_ejection_percent", DEFAULT_MAX_EJECTED),
        at=at,
    )
