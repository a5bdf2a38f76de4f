"""Health checks: none where the spec is silent; maps of all layers merge field by field, but for the kind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position
from meshctl.resolve.layers import Layers, merged, particular, said
from meshctl.resolve.matching import check_canonical
from meshctl.spec.health_checks import HealthCheckSpec

DEFAULT_INTERVAL = timedelta(seconds=10)
DEFAULT_TIMEOUT = timedelta(seconds=1)
DEFAULT_UNHEALTHY_THRESHOLD = 3
DEFAULT_HEALTHY_THRESHOLD = 2

GRPC_METHOD = "/grpc.health.v1.Health/Check"
"""What a check by gRPC posts to (https://github.com/grpc/grpc/blob/master/doc/health-checking.md)."""

_KINDS = "`http`, `grpc` and `tcp`"
_HTTP, _GRPC, _TCP = ir.HealthCheckKind.HTTP, ir.HealthCheckKind.GRPC, ir.HealthCheckKind.TCP
_IN_THE_MESH = {
    ir.Protocol.HTTP: (_HTTP,),
    ir.Protocol.HTTP2: (_HTTP,),
    ir.Protocol.GRPC: (_GRPC, _HTTP),
    ir.Protocol.TCP: (),
}
_OUTSIDE = {ir.Protocol.HTTP: (_HTTP, _TCP), ir.Protocol.TCP: (_TCP,)}


def kinds(protocol: ir.Protocol, *, outside: bool) -> tuple[ir.HealthCheckKind, ...]:
    """The checks that tell something of a callee that speaks ``protocol``, the best one first.

    In the mesh a connection says only that the sidecar is there.
    """
    return _OUTSIDE.get(protocol, ()) if outside else _IN_THE_MESH[protocol]


def health_check(
    layers: Layers, host: str, possible: tuple[ir.HealthCheckKind, ...]
) -> ir.HealthCheck | None:
    """How the endpoints of a cluster are asked; ``host`` is the callee's name.

    What `defaults` say holds where it is ``possible``; elsewhere nobody asks.
    """
    written, at = merged(layers, "health_check", "healthCheck")
    kind, path, _ = wanted(layers)
    if written is None or kind not in possible:
        return None
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


def wanted(layers: Layers) -> tuple[ir.HealthCheckKind | None, str, Position | None]:
    """The kind, path and place of the most particular layer which names a kind."""
    for layer in reversed(layers):
        each: HealthCheckSpec | None = layer.says.get("health_check")
        if each is None:
            continue
        here = layer.source["healthCheck"]
        if each.http is not None:
            return _HTTP, each.http.path, here.at("http", "path")
        if each.grpc is not None:
            return _GRPC, "", here.at("grpc")
        if each.tcp is not None:
            return _TCP, "", here.at("tcp")
    return None, "", None


def check(layers: Layers, name: str, possible: tuple[ir.HealthCheckKind, ...]) -> Iterator[Finding]:
    """An endpoint is asked in one way, which the callee ``name`` can answer."""
    written = list(said(layers, "health_check", "healthCheck"))
    if not written:
        return
    for each, at in written:
        if _kinds(each) > 1:
            yield finding("not-exactly-one", at, f"a health check is one of {_KINDS}")
    kind, path, at = wanted(layers)
    if written and kind is None:
        yield finding(
            "not-exactly-one", written[0][1], f"a health check is one of {_KINDS}, and here is none"
        )
    if path:
        yield from check_canonical(path, at)
    if (
        kind is not None
        and kind not in possible
        and any(said(particular(layers), "health_check", "healthCheck"))
    ):
        what, why = _impossible(kind, name)
        either = " or ".join(f"`{each}`" for each in possible)
        fix = (
            f"Write {either}, or leave it to `outlierDetection`." if possible else "Write `outlierDetection`."
        )
        yield finding("health-check-impossible", at, f"{what}: {why}", fix=fix)


def _impossible(kind: ir.HealthCheckKind, name: str) -> tuple[str, str]:
    match kind:
        case ir.HealthCheckKind.HTTP:
            return "a check by HTTP", f"`{name}` is a stream and knows no requests"
        case ir.HealthCheckKind.GRPC:
            return "a check by gRPC", f"`{name}` does not speak it"
        case ir.HealthCheckKind.TCP:
            return (
                "a check by TCP",
                f"the sidecar of `{name}` takes connections, whether its application lives or not",
            )


def _kinds(written: HealthCheckSpec) -> int:
    return sum(each is not None for each in (written.http, written.grpc, written.tcp))
