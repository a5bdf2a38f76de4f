"""`tracing`: where spans go."""

from __future__ import annotations

from meshctl.spec.network_types import SocketText
from meshctl.spec.types import Given, Model, Percent


class TracingSpec(Model):
    """Spans in OTLP over gRPC, from a share of the requests that nobody else has decided about."""

    otlp: SocketText
    sampling: Given[Percent] = None
