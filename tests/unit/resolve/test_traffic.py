"""Policies of traffic as they stand after inheritance: what `defaults` cannot mean for a callee does not hold for it."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import pytest

from meshctl import ir
from meshctl.resolve import resolve
from tests.unit.resolve.specs import read, resolved, sidecar, slugs

HEAD = "services:\n  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {api: {%s}}}\n"
TWO = "endpoints: [{address: 10.0.1.1}, {address: 10.0.1.2}]"
RESOLVERS = ", resolvers: ['127.0.0.53:53']"


def cluster(tmp_path, api: str, call: str = "", defaults: str = "") -> ir.Cluster:
    first = f"defaults: {{{defaults}}}\n" if defaults else ""
    (found,) = sidecar(
        resolved(tmp_path, f"{first}{HEAD % call}  api: {{port: 81, {TWO}, {api}}}"), "web"
    ).clusters
    return found


def inbound(tmp_path, api: str, mesh: str = "", defaults: str = "") -> ir.InboundListener:
    first = f"defaults: {{{defaults}}}\n" if defaults else ""
    spec = f"{first}{HEAD % ''}  api: {{port: 81, {TWO}, {api}}}"
    found = sidecar(
        resolved(tmp_path, spec.replace("{api: {}}", "{api: {localPort: 9}}"), mesh), "api"
    ).inbound
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("defaults", "api", "call", "kind"),
    [
        ("healthCheck: {http: {path: /h}}", "", "", "http"),
        ("healthCheck: {http: {path: /h}}", "protocol: grpc", "", "http"),
        ("healthCheck: {http: {path: /h}}", "protocol: tcp", "localPort: 9", None),
        ("healthCheck: {grpc: {}}", "", "", None),
        ("healthCheck: {grpc: {}}", "protocol: grpc", "", "grpc"),
        ("healthCheck: {tcp: {}}", "", "", None),
        ("healthCheck: {tcp: {}}", "healthCheck: {http: {path: /h}}", "", "http"),
        ("", "protocol: grpc, healthCheck: {http: {path: /h}}", "healthCheck: {grpc: {}}", "grpc"),
    ],
)
def test_a_check_holds_where_the_callee_can_be_asked(tmp_path, defaults, api, call, kind):
    found = cluster(tmp_path, api, call, defaults).health_check
    assert (found and found.kind.value) == kind


def test_checks_merge_but_for_the_kind(tmp_path):
    found = cluster(
        tmp_path,
        "healthCheck: {http: {path: /b}, timeout: 2s}",
        "healthCheck: {interval: 9s}",
        "healthCheck: {http: {path: /a}, interval: 3s, healthyThreshold: 7}",
    ).health_check
    assert found == ir.HealthCheck(
        ir.HealthCheckKind.HTTP, "/b", "api.shop.mesh", timedelta(seconds=9), timedelta(seconds=2), 3, 7
    )


def test_ejection_merges_and_has_defaults(tmp_path):
    found = cluster(tmp_path, "outlierDetection: {interval: 5s}", "outlierDetection: {consecutiveErrors: 2}")
    assert found.outlier_detection == ir.OutlierDetection(
        2, timedelta(seconds=5), timedelta(seconds=30), Fraction(1, 2)
    )
    assert cluster(tmp_path, "").outlier_detection is None


@pytest.mark.parametrize(
    ("share", "endpoints", "limit"),
    [("50%", 1, 0), ("50%", 2, 1), ("50%", 5, 2), ("1%", 9, 1), ("100%", 3, 3)],
)
def test_how_many_may_be_out(tmp_path, share, endpoints, limit):
    found = cluster(tmp_path, f"outlierDetection: {{maxEjectionPercent: {share}}}").outlier_detection
    assert found is not None
    assert found.limit(endpoints) == limit


RING = "loadBalancing: {policy: ring-hash, hashOn: {%s}}"


@pytest.mark.parametrize(
    ("defaults", "api", "call", "policy", "key"),
    [
        (RING % "header: X-User", "", "", "ring-hash", ("header", "x-user")),
        (RING % "cookie: User", "", "", "ring-hash", ("cookie", "User")),
        (RING % "header: x-user", "loadBalancing: {policy: random}", "", "random", None),
        (RING % "header: x-user", "protocol: tcp", "localPort: 9", "round-robin", None),
        ("loadBalancing: {policy: least-request}", "protocol: tcp", "localPort: 9", "least-request", None),
    ],
)
def test_a_ring_needs_something_to_look_at(tmp_path, defaults, api, call, policy, key):
    found = cluster(tmp_path, api, call, defaults).load_balancing
    assert (found.policy, found.hash_on and (found.hash_on.key.value, found.hash_on.name)) == (policy, key)


@pytest.mark.parametrize(
    ("api", "call", "bound"),
    [
        ("circuitBreaker: {maxRetries: 5}", "", 5),
        ("circuitBreaker: {maxRetries: 5}", "circuitBreaker: {maxRetries: 6}", 6),
        ("circuitBreaker: {maxRetries: 5}, retries: {budget: 20%}", "", None),
        ("circuitBreaker: {maxRetries: 5}", "retries: {budget: 20%}", None),
        ("circuitBreaker: {maxRetries: 5}, routes: [{name: a, retries: {budget: 20%}}]", "", None),
        (
            "circuitBreaker: {maxRetries: 5}, routes: [{name: a, retries: {attempts: 3, retryOn: [reset]}}]",
            "",
            5,
        ),
    ],
)
def test_a_budget_beats_a_number_of_retries(tmp_path, api, call, bound):
    found = cluster(tmp_path, api, call)
    assert found.circuit_breaker.max_retries == bound
    asked = ir.Feature.MAX_RETRIES in {each.feature for each in ir.features_of(found)}
    assert asked is (bound is not None)


@pytest.mark.parametrize(
    ("api", "ineffective"),
    [
        ("circuitBreaker: {maxRetries: 5}, retries: {attempts: 0}", True),
        ("circuitBreaker: {maxRetries: 5}, retries: {attempts: 0}, routes: [{name: a, retries: {attempts: 1, retryOn: [reset]}}]", False),
        ("circuitBreaker: {maxRetries: 5}", False),
        ("circuitBreaker: {maxRetries: 5}, routes: [{name: a, retries: {budget: 20%}}]", True),
        ("outlierDetection: {interval: 5s}", False),
        ("outlierDetection: {maxEjectionPercent: 0.5%}", False),
    ],
)  # fmt: skip
def test_what_does_nothing_is_told(tmp_path, api, ineffective):
    found = resolve(read(tmp_path, f"{HEAD % ''}  api: {{port: 81, {TWO}, {api}}}"))
    assert ("ineffective-setting" in slugs(found)) is ineffective


@pytest.mark.parametrize(
    ("defaults", "api", "limit"),
    [
        ("", "rateLimit: {requests: 9, per: 2s}", (9, 9, False)),
        ("", "rateLimit: {requests: 9, per: 2s, burst: 3, key: caller}", (9, 3, True)),
        # The most particular one as a whole.
        ("rateLimit: {requests: 5, per: 1s, burst: 2, key: caller}", "rateLimit: {requests: 9, per: 2s}", (9, 9, False)),
        ("rateLimit: {requests: 5, per: 1s, burst: 2}", "", (5, 2, False)),
        ("rateLimit: {requests: 5, per: 1s}", "protocol: tcp", None),
    ],
)  # fmt: skip
def test_limits(tmp_path, defaults, api, limit):
    found = inbound(tmp_path, api, defaults=defaults).rate_limit
    assert (found and (found.requests, found.burst, found.by_caller)) == limit


@pytest.mark.parametrize(("per", "slow"), [("10h", False), ("11h", True), ("1s", False)])
def test_a_quota_is_no_rate(tmp_path, per, slow):
    found = resolve(
        read(tmp_path, f"{HEAD % ''}  api: {{port: 81, {TWO}, rateLimit: {{requests: 10, per: {per}}}}}")
    )
    assert ("rate-limit-too-slow" in slugs(found)) is slow


LIMIT, CHECK = "rateLimit: {requests: 9, per: 1s}", "healthCheck: {grpc: {}}"
HEALTHZ, GRPC = (("GET", "HEAD"), "/healthz"), (("POST",), "/grpc.health.v1.Health/Check")


@pytest.mark.parametrize(
    ("defaults", "api", "mode", "exempt"),
    [
        ("", "healthPath: /healthz", "declared", []),
        ("", f"healthPath: /healthz, {LIMIT}", "declared", [HEALTHZ]),
        (LIMIT, "healthPath: /healthz", "declared", [HEALTHZ]),
        ("", "healthPath: /healthz", "explicit", [HEALTHZ]),
        ("", f"protocol: grpc, {CHECK}", "declared", []),
        ("", f"protocol: grpc, {CHECK}, {LIMIT}", "declared", [GRPC]),
        (
            CHECK,
            "protocol: grpc, deny: [{methods: [POST]}], healthPath: /healthz",
            "declared",
            [HEALTHZ, GRPC],
        ),
        (CHECK, f"healthPath: /healthz, {LIMIT}", "declared", [HEALTHZ]),
        (LIMIT, "protocol: tcp, allow: [{from: [web]}]", "declared", []),
    ],
)
def test_what_gets_past_rules_and_limits(tmp_path, defaults, api, mode, exempt):
    found = inbound(tmp_path, api, f", authorization: {{mode: {mode}}}", defaults).authorization
    assert [(each.methods, each.paths[0].value) for each in found.exempt] == exempt
    assert {name.service for each in found.exempt for name in each.principals} <= {"web"}
    asked = [each.feature for each in found.asks].count(ir.Feature.HEALTH_PATH)
    assert asked == len(exempt)


@pytest.mark.parametrize(
    ("api", "told"),
    [
        (f"healthCheck: {{http: {{path: /h}}}}, healthPath: /h, {LIMIT}", False),
        (f"healthCheck: {{http: {{path: /h}}}}, healthPath: /x, {LIMIT}", True),
        ("healthCheck: {http: {path: /h}}", False),
        ("healthCheck: {http: {path: /h}}, deny: [{paths: [{prefix: /admin}]}]", True),
        (f"protocol: grpc, healthCheck: {{grpc: {{}}}}, {LIMIT}", False),
    ],
)
def test_checks_that_may_be_refused(tmp_path, api, told):
    found = resolve(read(tmp_path, f"{HEAD % ''}  api: {{port: 81, {TWO}, {api}}}"))
    assert ("health-check-not-exempt" in slugs(found)) is told


RETRIES = "retries: {attempts: 1, retryOn: [%s]%s}"


@pytest.mark.parametrize(
    ("api", "told"),
    [
        (f"protocol: grpc, {RETRIES % ('unavailable', '')}", True),
        (f"protocol: grpc, {RETRIES % ('connect-failure', '')}", False),
        (f"protocol: grpc, {RETRIES % ('unavailable', ', nonIdempotent: true')}", False),
        (f"protocol: grpc, idempotent: [POST], {RETRIES % ('unavailable', '')}", False),
        (f"protocol: http2, {RETRIES % ('gateway-error', '')}", False),
    ],
)
def test_calls_of_grpc_are_not_idempotent(tmp_path, api, told):
    found = resolve(read(tmp_path, f"{HEAD % ''}  api: {{port: 81, {TWO}, {api}}}"))
    assert ("retry-condition-impossible" in slugs(found)) is told


@pytest.mark.parametrize(
    ("written", "host", "outlier"),
    [
        ("hosts: [a.x], port: 80", "a.x", True),
        ("hosts: ['*.x'], port: 80", None, False),
        ("hosts: ['*.x'], port: 443, tls: {sni: s.y}, endpoints: [{address: 192.0.2.1}]", "s.y", True),
        ("hosts: ['*.x'], port: 80, endpoints: [{address: 192.0.2.1}]", "x", True),
        ("hosts: ['*.x', b.y], port: 80, endpoints: [{address: 192.0.2.1}]", "b.y", True),
    ],
)
def test_externals_are_asked_by_a_name(tmp_path, written, host, outlier):
    text = f"defaults: {{healthCheck: {{http: {{path: /h}}}}, outlierDetection: {{interval: 5s}}}}\n{HEAD % ''}externals:\n  api: {{{written}}}"
    (found,) = sidecar(resolved(tmp_path, text, RESOLVERS), "web").clusters
    assert (found.health_check and found.health_check.host) == host
    assert (found.outlier_detection is not None) is outlier


@pytest.mark.parametrize(("protocol", "http2"), [("http", False), ("http2", True), ("grpc", True)])
def test_callers_of_http2_may_speak_it(tmp_path, protocol, http2):
    text = (
        HEAD % ""
        + f"""
  api: {{port: 81, {TWO}, routes: [{{name: on, backends: [{{service: more}}]}}]}}
  more: {{port: 82, protocol: {protocol}, {TWO.replace("10.0.1", "10.0.2")}}}
"""
    )
    assert sidecar(resolved(tmp_path, text), "web").outbound.http2 is http2
