"""Health checks: no target lowers them yet, but what is wrong about them is told all the same."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding
from meshctl.resolve.layers import Layers, said
from meshctl.spec.health_checks import HealthCheckSpec

_KINDS = "`http`, `grpc` and `tcp`"


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
