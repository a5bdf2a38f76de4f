"""What traffic management becomes on Envoy, without a request; with requests: tests/proxies/test_envoy_policies."""

from __future__ import annotations

import json
from datetime import timedelta
from fractions import Fraction

import pytest
from msgspec import structs

from meshctl import ir
from meshctl.targets import envoy
from meshctl.targets.base import Emulated, Pending
from meshctl.targets.envoy import (
    circuit_breaking,
    discovery,
    load_balancing,
    outlier_detection,
    retries,
    timeouts,
)
from tests.sidecars import IDEMPOTENT, WRITTEN, cluster, route, sidecar, virtual_host
from tests.unit.targets.test_envoy import bootstrap, clusters_of, manager, routes_of, validate, web

SECOND = timedelta(seconds=1)
ONE = ("catalog", 1)
USER = ir.HashOn(ir.HashKey.HEADER, "x-user", WRITTEN)


def balanced(policy, *weights, hash_on=None, name="catalog", **others):
    endpoints = [(f"10.0.0.{number}", 1, weight) for number, weight in enumerate(weights or (1,), start=1)]
    balancing = ir.LoadBalancing(policy, hash_on, WRITTEN)
    return structs.replace(cluster(name, *endpoints), load_balancing=balancing, **others)


def ejecting(endpoints, share, **others):
    detection = ir.OutlierDetection(3, SECOND, 2 * SECOND, share, WRITTEN)
    made = cluster("catalog", *((f"10.0.0.{number}", 1, 1) for number in range(1, endpoints + 1)))
    return structs.replace(made, outlier_detection=detection, **others)


def checked(kind, path="", **others):
    check = ir.HealthCheck(kind, path, "catalog.shop.mesh", SECOND, SECOND, 3, 2, WRITTEN)
    return structs.replace(cluster("catalog", ("10.0.0.1", 1, 1)), health_check=check, **others)


def everything_at_once():
    """Each feature somewhere, so that Envoy itself may say what it thinks of the fields."""
    clusters = (
        structs.replace(
            ejecting(3, Fraction(1, 2), protocol=ir.Protocol.GRPC),
            health_check=checked(ir.HealthCheckKind.GRPC).health_check,
        ),
        balanced(ir.LoadBalancingPolicy.RING_HASH, 1, 2, hash_on=USER, name="ring"),
        balanced(ir.LoadBalancingPolicy.RANDOM, 1, 2, name="random"),
        balanced(ir.LoadBalancingPolicy.LEAST_REQUEST, 1, 2, name="least"),
        structs.replace(checked(ir.HealthCheckKind.HTTP, "/healthz"), name="copies"),
        structs.replace(checked(ir.HealthCheckKind.TCP), name="named", dns=ir.DnsName("a.b", 1, SECOND)),
        structs.replace(cluster("tls", ("10.0.0.1", 1, 1)), protocol=ir.Protocol.TCP),
    )
    fault = ir.Fault(
        ir.Delay(SECOND, Fraction(1, 3), WRITTEN), ir.Abort(ir.mesh.HOP_STATUS, Fraction(1, 7), WRITTEN)
    )
    names = ("ring", "random", "least", "copies", "named")
    made = web(
        route("all", ONE, mirrors=(ir.Mirror("copies", Fraction(1, 3), WRITTEN),), fault=fault),
        *(route(name, (name, 1)) for name in names),
        clusters=clusters,
    )
    sni = ir.SniRoute(("a.example", "*.b.example"), "tls", "tls", WRITTEN)
    stream = ir.TcpListener((ir.SocketAddress("127.0.0.1", 8443),), "", "", (sni,), WRITTEN)
    exempt = ir.AuthorizationRule(anyone=True, methods=("GET",))
    inbound = structs.replace(
        made.inbound,
        protocol=ir.Protocol.GRPC,
        rate_limit=ir.RateLimit(5, SECOND, 3, by_caller=True, at=WRITTEN),
        authorization=structs.replace(made.inbound.authorization, exempt=(exempt,)),
    )
    return structs.replace(
        made,
        inbound=inbound,
        outbound=structs.replace(made.outbound, http2=True),
        tcp=(stream,),
        resolvers=(ir.SocketAddress("127.0.0.1", 53),),
    )


def test_envoy_takes_it_without_a_warning(tmp_path):
    assert validate(everything_at_once(), tmp_path / "bundle") == ""


def test_every_new_word_has_an_answer():
    pending = {feature for feature, its in envoy.CAPABILITIES.items() if isinstance(its, Pending)}
    assert pending <= {ir.Feature.PATH_POLICY}


@pytest.mark.parametrize(
    ("made", "policy"),
    [
        (balanced(ir.LoadBalancingPolicy.ROUND_ROBIN, 1, 2), "ROUND_ROBIN"),
        (balanced(ir.LoadBalancingPolicy.LEAST_REQUEST), "LEAST_REQUEST"),
        (balanced(ir.LoadBalancingPolicy.RANDOM, 2, 2), "RANDOM"),
        (balanced(ir.LoadBalancingPolicy.RANDOM, 1, 2), "MAGLEV"),
        (balanced(ir.LoadBalancingPolicy.RING_HASH, hash_on=USER), "RING_HASH"),
    ],
)
def test_policy(made, policy):
    assert load_balancing.load_balancing(made)["lb_policy"] == policy


def test_random_counts_weights_within_a_level():
    levels = tuple(
        ir.Endpoint(ir.SocketAddress(f"10.0.0.{number}", 1), weight, priority)
        for number, (weight, priority) in enumerate(((1, 0), (1, 0), (3, 1)), start=1)
    )
    made = structs.replace(balanced(ir.LoadBalancingPolicy.RANDOM), endpoints=levels)
    assert load_balancing.load_balancing(made)["lb_policy"] == "RANDOM"


def test_hash_keys_stand_where_a_ring_is_called():
    ring, other = balanced(ir.LoadBalancingPolicy.RING_HASH, hash_on=USER), cluster("stock")
    having = web(route("all", ONE), clusters=(ring, other))
    without = web(route("all", ("stock", 1)), clusters=(ring, other))
    names = [
        [each["name"] for each in manager(made, "outbound")["http_filters"]] for made in (having, without)
    ]
    assert ["hash-keys" in each for each in names] == [True, False]


def test_cookies_are_read_and_never_set():
    cookie = ir.HashOn(ir.HashKey.COOKIE, "Session", WRITTEN)
    made = balanced(ir.LoadBalancingPolicy.RING_HASH, hash_on=cookie)
    assert load_balancing.hash_policy(made) == {"hash_policy": [{"cookie": {"name": "Session"}}]}
    assert load_balancing.http_filters([made]) == []


def test_levels_and_their_shares():
    endpoints = tuple(
        ir.Endpoint(ir.SocketAddress(f"10.0.0.{level}", 1), 2 * weight, level)
        for level, weight in ((1, 3), (0, 1), (1, 2))
    )
    made = discovery.load_assignment("catalog", endpoints)
    found = [
        (each.get("priority", 0), [one["load_balancing_weight"] for one in each["lb_endpoints"]])
        for each in made["endpoints"]
    ]
    assert found == [(0, [1]), (1, [3, 2])]
    assert made["policy"] == {"overprovisioning_factor": 140}
    assert "policy" not in discovery.load_assignment("catalog", endpoints[:1])


@pytest.mark.parametrize(
    ("breaker", "multiplexed", "limits"),
    [
        (ir.CircuitBreaker(5, 9), False, (2**32 - 1, 5, 5, 5)),
        (ir.CircuitBreaker(5, 9), True, (5, 9, 9, 9)),
        (ir.CircuitBreaker(5, 9, max_pending=0), False, (5, 0, 9, 9)),
        (ir.CircuitBreaker(5, 9, 2, 1), True, (5, 2, 9, 1)),
    ],
)
def test_circuit_breakers(breaker, multiplexed, limits):
    (made,) = circuit_breaking.circuit_breakers(breaker, multiplexed=multiplexed)["thresholds"]
    names = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    assert tuple(made[name] for name in names) == limits


def test_a_budget_takes_the_place_of_max_retries_and_says_so():
    breaker = ir.CircuitBreaker(5, 9, max_retries=1)
    (made,) = circuit_breaking.circuit_breakers(breaker, Fraction(1, 5))["thresholds"]
    assert made["retry_budget"] == {"budget_percent": {"value": 20}, "min_retry_concurrency": 1}
    assert "max_retries" not in made
    budget = ir.RetryPolicy(
        1, (), IDEMPOTENT, statuses=(503,), budget=ir.RetryBudget(Fraction(1, 5), WRITTEN)
    )
    bounded = structs.replace(cluster("catalog", ("10.0.0.1", 1, 1)), circuit_breaker=breaker)
    capability = envoy.CAPABILITIES[ir.Feature.MAX_RETRIES]
    assert isinstance(capability, Emulated)
    told = [
        capability.applies(web(route("all", ONE, retries=policy), clusters=(its,)))
        for policy in (budget, structs.replace(budget, budget=None))
        for its in (bounded, structs.replace(bounded, circuit_breaker=ir.CircuitBreaker(5, 9)))
    ]
    assert told == [True, False, False, False]


@pytest.mark.parametrize(
    ("made", "percent"),
    [
        (ejecting(1, Fraction(1)), 0),
        (ejecting(2, Fraction(1)), 100),
        (ejecting(3, Fraction(1, 2)), 34),
        (ejecting(3, Fraction(1, 100)), 34),
        (ejecting(7, Fraction(1, 2)), 43),
        (ejecting(0, Fraction(1), dns=ir.DnsName("a.b", 1, SECOND)), 99),
        (ejecting(0, Fraction(1, 3), dns=ir.DnsName("a.b", 1, SECOND)), 33),
    ],
)
def test_ejection_limit(made, percent):
    its = outlier_detection.outlier_detection(made)["outlier_detection"]
    assert its["max_ejection_percent"] == percent
    assert its["max_ejection_time"] == its["base_ejection_time"]


@pytest.mark.parametrize(("upload", "delay", "told"), [(0, 2, False), (2, 1, False), (1, 2, True)])
def test_a_delay_longer_than_an_upload_may_pause_is_told(upload, delay, told):
    fault = ir.Fault(ir.Delay(delay * SECOND, Fraction(1), WRITTEN))
    made = web(route("all", ONE, fault=fault, body_timeout=ir.BodyTimeout(upload * SECOND, WRITTEN)))
    capability = envoy.CAPABILITIES[ir.Feature.FAULT_DELAY]
    assert isinstance(capability, Emulated)
    assert capability.applies(made) is told


@pytest.mark.parametrize(
    ("kind", "threshold", "told"),
    [
        (ir.HealthCheckKind.GRPC, 3, True),
        (ir.HealthCheckKind.GRPC, 1, False),
        (ir.HealthCheckKind.HTTP, 3, False),
    ],
)
def test_that_checks_by_grpc_count_to_one_is_told(kind, threshold, told):
    its = checked(kind)
    assert its.health_check is not None
    check = structs.replace(its.health_check, unhealthy_threshold=threshold)
    capability = envoy.CAPABILITIES[ir.Feature.HEALTH_CHECK_GRPC]
    assert isinstance(capability, Emulated)
    assert capability.applies(web(clusters=(structs.replace(its, health_check=check),))) is told


def test_the_hop_status_is_an_error_of_the_mesh_alone():
    outside = structs.replace(ejecting(2, Fraction(1)), identity=None, origin=ir.Origin(None))
    assert "425" in json.dumps(outlier_detection.errors(ejecting(2, Fraction(1))))
    assert outlier_detection.errors(outside) == {}


@pytest.mark.parametrize(
    ("statuses", "methods", "expected"),
    [
        (("unavailable",), IDEMPOTENT, ["14"]),
        (("aborted", "cancelled", "unauthenticated"), IDEMPOTENT, ["10", "1", "16"]),
    ],
)
def test_grpc_statuses_are_numbers(statuses, methods, expected):
    policy = ir.RetryPolicy(1, (), methods, grpc_statuses=statuses, non_idempotent=True)
    made = retries.retry_policy(policy, idempotent=True)
    assert made is not None
    assert [each["string_match"]["exact"] for each in made["retriable_headers"]] == expected
    assert "retriable-headers" in made["retry_on"]
    assert retries.retry_policy(policy, idempotent=False) is None


def test_streams_are_refused_on_http2_alone():
    policy = ir.RetryPolicy(1, (ir.RetryCondition.REFUSED_STREAM,), IDEMPOTENT)
    made = retries.retry_policy(policy, idempotent=False, multiplexed=True)
    assert made is not None
    assert made["retry_on"] == "refused-stream"
    assert retries.retry_policy(policy, idempotent=False) is None


def test_upgrades_are_taken_for_callees_of_http_alone():
    grpc = structs.replace(cluster("grpc", ("10.0.0.1", 1, 1)), protocol=ir.Protocol.GRPC)
    http = cluster("catalog", ("10.0.0.1", 1, 1))
    mixed = web(route("all", ONE), route("grpc", ("grpc", 1)), clusters=(http, grpc))
    assert manager(mixed, "outbound")["upgrade_configs"] == [{"upgrade_type": "websocket"}]
    refused = {"upgrade_configs": [{"upgrade_type": "websocket", "enabled": False}]}
    assert [each["route"].items() >= refused.items() for each in routes_of(mixed)] == [False, True]
    alone = web(route("grpc", ("grpc", 1)), clusters=(grpc,))
    assert "upgrade_configs" not in manager(alone, "outbound")


def test_pass_through_takes_named_servers_and_nobody_else():
    (made,) = (
        each
        for each in bootstrap(everything_at_once())["static_resources"]["listeners"]
        if each["name"] == "sni:8443"
    )
    (chain,) = made["filter_chains"]
    names = ["a.example", "*.b.example"]
    assert chain["filter_chain_match"] == {"server_names": names, "transport_protocol": "tls"}
    assert "default_filter_chain" not in made


def test_only_the_cluster_of_a_mirror_knows_copies():
    mirrored = route("all", ONE, mirrors=(ir.Mirror("stock", Fraction(1), WRITTEN),))
    made = sidecar(
        "web",
        ir.Proxy.ENVOY,
        virtual_hosts=(virtual_host("catalog", mirrored),),
        clusters=(cluster("catalog", ("10.0.0.1", 1, 1)), cluster("stock", ("10.0.0.2", 1, 1))),
    )
    assert [name for name, its in clusters_of(made).items() if "copy-headers" in json.dumps(its)] == ["stock"]


def trying(attempts, milliseconds, *backends):
    its = ir.PerTryTimeout(timedelta(milliseconds=milliseconds), WRITTEN)
    conditions = (ir.RetryCondition.CONNECT_FAILURE,)
    return route(
        "a", *backends, retries=ir.RetryPolicy(attempts, conditions, IDEMPOTENT, per_try_timeout=its)
    )


@pytest.mark.parametrize(
    ("routes", "longest"),
    [
        ([trying(1, 500, ONE)], 500),
        ([trying(1, 500, ONE), trying(2, 700, ONE), trying(2, 900, ("other", 1))], 700),
        ([trying(1, 500, ONE), trying(2, 0, ONE)], None),
        ([trying(2, 0, ONE), trying(1, 500, ONE)], None),
        ([trying(1, 500, ONE), trying(0, 700, ONE)], None),
    ],
)
def test_connecting_has_no_more_time_than_the_longest_try(routes, longest):
    found = timeouts.longest_tries(routes).get("catalog")
    assert found == (None if longest is None else timedelta(milliseconds=longest))


def test_a_cluster_connects_within_a_try():
    its = cluster("catalog", ("10.0.0.1", 1, 1))
    for made, expected in (
        (web(trying(1, 400, ONE), clusters=(its,)), "0.4s"),
        (web(trying(1, 4000, ONE), clusters=(its,)), "1s"),
        (web(trying(0, 400, ONE), clusters=(its,)), "1s"),
    ):
        assert clusters_of(made)["catalog"]["connect_timeout"] == expected
