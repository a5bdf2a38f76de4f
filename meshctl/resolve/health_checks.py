"""Health checks: none where the spec is silent; maps of all layers merge field by field, but for the kind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding
from meshctl.resolve.layers import Layers, merged, said
from meshctl.spec.health_checks import HealthCheckSpec

DEFAULT_INTERVAL = timedelta(seconds=10)
DEFAULT_TIMEOUT = timedelta(seconds=1)
DEFAULT_UNHEALTHY_THRESHOLD = 3
DEFAULT_HEALTHY_THRESHOLD = 2

_KINDS = "`http`, `grpc` and `tcp`"


def health_check(layers: Layers, host: str) -> ir.HealthCheck | None:
    """How the endpoints of a cluster are asked; ``host`` is the callee's name."""
    written, at = merged(layers, "health_check", "healthCheck")
    if written is None:
        return None
    kind, path = _kind(layers)
    return ir.HealthCheck(
        kind=kind,
        path=path,
        host=host,
        interval=written.get("interval", DEFAULT_INTERVAL),
        timeout=written.get("timeout", DEFAULT_TIMEOUT),
        unhealthy_threshold=written.get("unhealthy_threshold", DEFAULT_UNHEALTHY_THRESHOLD),
        healthy_threshold=written.get("healthy_threshold", DEFAULT_HEALTHY_THRESHOLD),
        at=at,
    )


def _kind(layers: Layers) -> tuple[ir.HealthCheckKind, str]:
    """That of the most particular layer which names one."""
    for each, _ in said(layers, "health_check", "healthCheck"):
        if each.http is not None:
            return ir.HealthCheckKind.HTTP, each.http.path
        if each.grpc is not None:
            return ir.HealthCheckKind.GRPC, ""
        if each.tcp is not None:
            return ir.HealthCheckKind.TCP, ""
    return ir.HealthCheckKind.TCP, ""


def check(layers: Layers) -> Iterator[Finding]:
    """An endpoint is asked in one way: the most particular layer that names one."""
    written = list(said(layers, "health_check", "healthCheck"))
    for each, at in written:
        if _kinds(each) > 1:
            yield finding("not-exactly-one", at, f"a health check is one of {_KINDS}")
    if written and not any(_kinds(each) for each, _ in written):
        yield finding(
            "not-exactly-one", written[0][1], f"a health check is one of {_KINDS}, and here is none"
        )


def _kinds(written: HealthCheckSpec) -> int:
    return sum(each is not None for each in (written.http, written.grpc, written.tcp))
