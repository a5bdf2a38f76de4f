"""Outlier detection: off where the spec is silent; maps of all layers merge field by field."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding
from meshctl.resolve.layers import Layers, merged, particular, said
from meshctl.spec.circuit_breaking import OutlierDetectionSpec

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


def check(layers: Layers, endpoints: int | None) -> Iterator[Finding]:
    """Detection that can eject nobody. ``endpoints``: how many take requests; None where DNS says it."""
    own = next((at for _, at in said(particular(layers), "outlier_detection", "outlierDetection")), None)
    if own is not None and endpoints == 1:
        message = "there is one endpoint, and the only one is never ejected"
        yield finding("ineffective-setting", own, message, fix="Add an endpoint, or remove this.")
    for layer in layers:
        written: OutlierDetectionSpec | None = layer.says.get("outlier_detection")
        if written is not None and written.max_ejection_percent == 0:
            at = layer.source.at("outlierDetection", "maxEjectionPercent")
            message = "one endpoint may be ejected whatever the share is, so 0% is no bound"
            yield finding(
                "ineffective-setting", at, message, fix="Leave `outlierDetection` out to eject nobody."
            )
