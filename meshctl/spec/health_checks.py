"""`healthCheck`: endpoints that are asked how they are."""

from __future__ import annotations

from meshctl.spec.http_types import Path
from meshctl.spec.types import Count, Given, Listed, Model, PositiveDuration


class HttpHealthCheckSpec(Model):
    """A GET of this path answers 200 to 299."""

    path: Path


class GrpcHealthCheckSpec(Model):
    """grpc.health.v1, for the server as a whole."""


class TcpHealthCheckSpec(Model):
    """A connection stands."""


class HealthCheckSpec(Model):
    """Exactly one kind of check."""

    http: Given[HttpHealthCheckSpec] = None
    grpc: Listed[GrpcHealthCheckSpec] = None
    tcp: Listed[TcpHealthCheckSpec] = None
    interval: Given[PositiveDuration] = None
    timeout: Given[PositiveDuration] = None
    unhealthy_threshold: Given[Count] = None
    healthy_threshold: Given[Count] = None
