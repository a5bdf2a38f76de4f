"""What policies bring into a bundle of NGINX, and into no other."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from msgspec import structs

from meshctl import ir
from meshctl.ir import Feature, HashKey, HealthCheckKind, LoadBalancingPolicy
from meshctl.targets import nginx
from meshctl.targets.base import Emulated
from tests.sidecars import NO_RETRIES, WRITTEN, cluster, route, sidecar, virtual_host
from tests.unit.targets.test_nginx import validate, write_bundle

ALWAYS = {"mesh", "reload"}
SECOND = timedelta(seconds=1)


def balanced(policy: LoadBalancingPolicy, hash_on: ir.HashOn | None = None) -> dict[str, Any]:
    return {"load_balancing": ir.LoadBalancing(policy, hash_on, at=WRITTEN)}


def ejecting(**changes: Any) -> dict[str, Any]:
    detection = ir.OutlierDetection(5, SECOND, 30 * SECOND, Fraction(1, 2), at=WRITTEN)
    return {"outlier_detection": detection, **changes}


def checked(kind: HealthCheckKind, **changes: Any) -> dict[str, Any]:
    return {"health_check": ir.HealthCheck(kind, "/h", "c", SECOND, SECOND, 3, 2, at=WRITTEN), **changes}


def levels() -> dict[str, Any]:
    first, second = cluster("c", ("10.0.0.1", 1, 1), ("10.0.0.2", 1, 1)).endpoints
    return {"endpoints": (first, structs.replace(second, priority=1))}


def breaking(**bounds: Any) -> dict[str, Any]:
    return {"circuit_breaker": ir.CircuitBreaker(10, 100, **bounds)}


def mirrored(share: Fraction = Fraction(1), **changes: Any) -> ir.Route:
    mirror = ir.Mirror("mirror", share, at=WRITTEN)
    return structs.replace(plain(), mirrors=(mirror,), **changes)


def plain() -> ir.Route:
    return route("r", ("c", 1))


def after_gateway_errors() -> ir.Route:
    return structs.replace(plain(), retries=ir.RetryPolicy(1, (ir.RetryCondition.GATEWAY_ERROR,), ("GET",)))


def web(its: ir.Route | None = None, **changes: Any) -> ir.Sidecar:
    callee = structs.replace(cluster("c", ("10.0.0.1", 1, 1), ("10.0.0.2", 1, 1)), **changes)
    return sidecar(
        "web",
        ir.Proxy.NGINX,
        virtual_hosts=(virtual_host("c", its or plain()),),
        clusters=(callee, cluster("mirror", ("10.0.0.3", 1, 1))),
    )


def streaming(**changes: Any) -> ir.Sidecar:
    """The callee speaks bytes."""
    made = web(protocol=ir.Protocol.TCP, **changes)
    listener = ir.TcpListener((ir.SocketAddress("127.0.0.1", 9),), "c", "c", at=WRITTEN)
    outbound = structs.replace(made.outbound, virtual_hosts=())
    return structs.replace(made, outbound=outbound, tcp=(listener,))


HASH = ir.HashOn(HashKey.HEADER, "x-user", at=WRITTEN)
PEERS = {"peers", "load_balancing"}
CASES = {
    "nothing": (web(), set()),
    "no share": (web(mirrored(Fraction(0))), set()),
    "least-request": (web(**balanced(LoadBalancingPolicy.LEAST_REQUEST)), PEERS),
    "random": (web(**balanced(LoadBalancingPolicy.RANDOM)), PEERS),
    "ring": (web(**balanced(LoadBalancingPolicy.RING_HASH, HASH)), PEERS),
    "levels": (web(**levels()), PEERS),
    "ejection": (web(**ejecting()), PEERS),
    "check": (web(**checked(HealthCheckKind.HTTP)), {*PEERS, "health_checks"}),
    "check by gRPC": (
        web(**checked(HealthCheckKind.GRPC, protocol=ir.Protocol.GRPC)),
        {*PEERS, "health_checks"},
    ),
    "mirror": (web(mirrored()), {"mirroring"}),
    "max retries": (web(**breaking(max_retries=3)), {"tries"}),
    "max retries without retries": (
        web(structs.replace(plain(), retries=NO_RETRIES), **breaking(max_retries=3)),
        set(),
    ),
    "answers that are tried again": (web(after_gateway_errors()), set()),
    "the same over HTTP/2": (web(after_gateway_errors(), protocol=ir.Protocol.HTTP2), {"tries"}),
    "max pending": (web(**breaking(max_pending=3)), {"circuit_breaking"}),
    "all": (
        web(
            mirrored(),
            **balanced(LoadBalancingPolicy.LEAST_REQUEST),
            **ejecting(),
            **checked(HealthCheckKind.HTTP),
            **levels(),
            **breaking(max_retries=0, max_pending=1),
        ),
        {*PEERS, "health_checks", "mirroring", "tries", "circuit_breaking"},
    ),
    "streams": (streaming(**balanced(LoadBalancingPolicy.LEAST_REQUEST), **ejecting(), **levels()), set()),
    "streams, drawn": (
        streaming(**balanced(LoadBalancingPolicy.RANDOM), **ejecting(), **levels()),
        set(),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bundle_has_the_lua_that_it_needs(name):
    made, wanted = CASES[name]
    programs = {each.path.removeprefix("nginx/") for each in nginx.emit(made)}
    found = {each.removesuffix(".lua") for each in programs if each.endswith(".lua")} - {
        "grpc",
        "filters",
        "mtls",
    }
    assert found == ALWAYS | wanted


@pytest.mark.parametrize("name", CASES)
def test_nginx_takes_it(name, tmp_path):
    assert validate(write_bundle(CASES[name][0], tmp_path), *nginx.COMMANDS.check) == (0, "")


def conflicts(made: ir.Sidecar) -> set[Feature]:
    return {feature for each in nginx.CONFLICTS if each.applies(made) for feature in each.features}


BY_NAME = {"endpoints": (), "dns": ir.DnsName("c.internal", 5432, SECOND)}


@pytest.mark.parametrize(
    ("made", "features"),
    [
        (web(mirrored(streaming=True)), {Feature.MIRRORING, Feature.STREAMING}),
        (web(structs.replace(plain(), streaming=True)), set()),
        (web(mirrored()), set()),
        (streaming(**ejecting()), set()),
        (streaming(**ejecting(**BY_NAME)), {Feature.OUTLIER_DETECTION, Feature.TCP}),
        (web(**ejecting(**BY_NAME)), set()),
        (streaming(**checked(HealthCheckKind.TCP)), {Feature.HEALTH_CHECK_TCP, Feature.TCP}),
        (web(**checked(HealthCheckKind.TCP)), set()),
    ],
)
def test_what_does_not_go_together(made, features):
    assert conflicts(made) == features


@pytest.mark.parametrize(
    ("feature", "made", "applies"),
    [
        (Feature.OUTLIER_DETECTION, web(**ejecting()), False),
        (Feature.OUTLIER_DETECTION, streaming(**ejecting()), True),
        (Feature.LOCALITY, web(**levels()), False),
        (Feature.LOCALITY, streaming(**levels()), False),
    ],
)
def test_a_difference_is_told_where_it_can_show(feature, made, applies):
    capability = nginx.CAPABILITIES[feature]
    assert isinstance(capability, Emulated)
    assert capability.applies(made) == applies


def test_retries_of_a_bounded_cluster_make_jumps():
    bound = ir.RetryPolicy(9, (ir.RetryCondition.GATEWAY_ERROR,), ("GET",), at=WRITTEN)
    its = structs.replace(plain(), retries=bound)
    assert conflicts(web(its, **breaking(max_retries=3))) == {Feature.RETRY_CONNECT_FAILURE}
    assert not conflicts(web(its))
