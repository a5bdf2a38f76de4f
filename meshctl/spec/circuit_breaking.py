"""`circuitBreaker` and `outlierDetection`: what is sent nowhere, and what is left alone for a while."""

from __future__ import annotations

from meshctl.spec.types import Count, Given, Model, Percent, PositiveDuration


class CircuitBreakerSpec(Model):
    """Bounds for one caller's sidecar and one callee; what goes over is answered 503 at once."""

    max_connections: Given[Count] = None
    max_pending_requests: Given[Count] = None
    max_requests: Given[Count] = None
    max_retries: Given[Count] = None


class OutlierDetectionSpec(Model):
    """An endpoint that fails so often in a row gets no requests for a while, up to a share of all endpoints."""

    consecutive_errors: Given[Count] = None
    interval: Given[PositiveDuration] = None
    base_ejection_time: Given[PositiveDuration] = None
    max_ejection_percent: Given[Percent] = None
