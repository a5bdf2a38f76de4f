"""Endpoints that are asked how they are."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from meshctl.diagnostics import Position
from meshctl.ir.features import Feature, Needs
from meshctl.ir.written import Written


class HealthCheckKind(StrEnum):
    """HTTP: a GET that answers 200 to 299. GRPC: grpc.health.v1 of the server as a whole says SERVING.
    TCP: a connection stands; only for externals, for a sidecar would answer for its application.
    """

    HTTP = "http"
    GRPC = "grpc"
    TCP = "tcp"


_FEATURES = {
    HealthCheckKind.HTTP: (Feature.HEALTH_CHECK_HTTP,),
    HealthCheckKind.GRPC: (Feature.HEALTH_CHECK_GRPC,),
    HealthCheckKind.TCP: (Feature.HEALTH_CHECK_TCP,),
}


class HealthCheck(Written, frozen=True):
    """Of every endpoint of one cluster, by this sidecar, in the way that requests go (mutual TLS, own identity).

    The Host is ``host``. Every ``interval``; no answer within ``timeout`` is a failure. ``unhealthy_threshold``
    failures in a row take an endpoint out (the very first check may do so at once), ``healthy_threshold`` good
    ones bring it back. Nobody left: 503.
    """

    kind: Annotated[HealthCheckKind, Needs(_FEATURES.__getitem__)]
    path: str
    """Empty but for HTTP."""
    host: str
    interval: timedelta
    timeout: timedelta
    unhealthy_threshold: int
    healthy_threshold: int
    at: Position | None = None
