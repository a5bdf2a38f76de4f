"""What the rest of the language becomes on Envoy, without a request; with requests: tests/proxies/test_envoy_*."""

from __future__ import annotations

import json
from datetime import timedelta
from fractions import Fraction

import pytest
from msgspec import structs

from meshctl import ir
from meshctl.ir.access_logs import ACCESS_LOG_FIELDS
from meshctl.targets import envoy
from meshctl.targets.base import Emulated
from meshctl.targets.envoy import mtls
from tests.proxies import test_envoy_authorization as authorized
from tests.proxies import test_envoy_egress as outside
from tests.proxies import test_envoy_filters as filtered
from tests.proxies import test_envoy_retries as retried
from tests.proxies.envoy_fixtures import Authority
from tests.sidecars import WRITTEN, cluster, everything, route, sidecar, virtual_host
from tests.unit.targets.test_envoy import HOSTILE, bootstrap, clusters_of, manager, routes_of, validate, web

CONNECT, RESET = ir.RetryCondition.CONNECT_FAILURE, ir.RetryCondition.RESET
SERVER, SLOW = ir.RetryCondition.SERVER_ERROR, ir.RetryCondition.PER_TRY_TIMEOUT
ONE = ("catalog", 1)


def caller(*hosts, clusters=()):
    return sidecar("web", ir.Proxy.ENVOY, inbound=False, virtual_hosts=hosts, clusters=clusters)


def filters_caller():
    clusters = (cluster("catalog", ("10.0.0.1", 1, 1)), cluster("nobody"), cluster("dead"))
    return caller(filtered.MATCHING, filtered.CATALOG, *filtered.WILD, clusters=clusters)


def retries_caller():
    names = ("one", "both", "broken", "nobody", "dead", "limited")
    clusters = tuple(structs.replace(cluster("catalog", ("10.0.0.1", 1, 1)), name=name) for name in names)
    return caller(virtual_host("catalog", *retried.ROUTES), clusters=clusters)


MADE = {
    "filters": lambda _: filters_caller(),
    "retries": lambda _: retries_caller(),
    "rules": lambda _: authorized.guarded("vault", "127.0.0.1", authorized.RULES),
    "audit": lambda _: authorized.guarded(
        "vault", "127.0.0.1", structs.replace(authorized.RULES, audit=True)
    ),
    "streams": lambda _: authorized.CALLER,
    "stream": lambda _: authorized.stream("ledger", "127.0.0.1", authorized.only("*", deny=("a", "ab"))),
    "audited stream": lambda _: authorized.stream(
        "ledger", "127.0.0.1", structs.replace(authorized.only("*", deny=("a", "ab")), audit=True)
    ),
    "health": lambda _: authorized.watched(),
    "egress": outside.web,
    "gateway": lambda pem: outside.gateway(ir.ServerTls(str(pem), str(pem), ir.TlsVersion.V1_2)),
    "plain gateway": lambda _: outside.gateway(),
}


@pytest.mark.parametrize("name", MADE)
def test_envoy_takes_it_without_a_warning(name, tmp_path):
    pem = tmp_path / "world.pem"
    authority = Authority("world.example")
    outside.issue(authority, tmp_path, "world")
    assert validate(MADE[name](pem), tmp_path / "bundle") == ""


@pytest.mark.parametrize("name", MADE)
def test_no_two_listeners_or_hosts_have_one_name(name, tmp_path):
    """Envoy would drop the second listener without a word."""
    made = MADE[name](tmp_path / "pem")
    listeners = [each["name"] for each in bootstrap(made)["static_resources"]["listeners"]]
    assert len(set(listeners)) == len(listeners)
    if not name.endswith("stream"):
        hosts = [each["name"] for each in manager(made, "outbound")["route_config"]["virtual_hosts"]]
        assert len(set(hosts)) == len(hosts)


def test_who_asks_for_nothing_gets_nothing():
    plain = web(route("all", ONE))
    names = {
        name: [each["name"] for each in manager(plain, name)["http_filters"]]
        for name in ("inbound", "outbound")
    }
    router = "envoy.filters.http.router"
    assert names == {
        "inbound": ["request-as-received", "path-gate", "authorization", "identity-header", router],
        "outbound": ["request-as-received", "path-gate", "drop-status-header", "bring-status-back", router],
    }
    options = clusters_of(plain)["catalog"]["typed_extension_protocol_options"]
    assert "http_filters" not in next(iter(options.values()))
    assert [*routes_of(plain)[0]] == ["name", "match", "route"]


def test_response_filter_stands_where_a_route_needs_it():
    changes = ir.HeaderChanges(set=(("x-a", "1"),))
    both = (cluster("catalog", ("10.0.0.1", 1, 1)), cluster("stock", ("10.0.0.2", 1, 1)))
    made = web(route("a", ONE, response_headers=changes), route("b", ("stock", 1)), clusters=both)
    having = [name for name, each in clusters_of(made).items() if "response-headers" in json.dumps(each)]
    assert having == ["catalog"]


def stream_logs(made):
    (inbound,) = (
        each for each in bootstrap(made)["static_resources"]["listeners"] if each["name"] == "inbound"
    )
    return inbound["filter_chains"][0]["filters"][-1]["typed_config"]["access_log"]


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_names_stay_data_in_the_line_of_a_stream(value):
    made = MADE["audited stream"](None)
    for each in stream_logs(structs.replace(made, mesh=value, build=value)):
        fields = each["typed_config"]["log_format"]["json_format"]
        assert fields["mesh"] == fields["build"] == value.replace("%", "%%")
        assert set(fields) == set(ACCESS_LOG_FIELDS)


def test_a_stream_has_no_line_where_the_log_is_off():
    made = structs.replace(MADE["audited stream"](None), access_log=ir.AccessLog(enabled=False))
    assert stream_logs(made) == []


@pytest.mark.parametrize(
    ("shares", "percent"), [((None,), None), ((20, None), 20), ((20, 5), 5), ((None, 5, 20), 5)]
)
def test_smallest_budget_holds(shares, percent):
    def budget(share):
        given = None if share is None else ir.RetryBudget(Fraction(share, 100))
        return ir.RetryPolicy(1, (CONNECT,), (), budget=given)

    made = web(*(route(f"r{n}", ONE, retries=budget(share)) for n, share in enumerate(shares)))
    (thresholds,) = clusters_of(made)["catalog"]["circuit_breakers"]["thresholds"]
    if percent is None:
        assert "retry_budget" not in thresholds
    else:
        assert thresholds["retry_budget"] == {
            "budget_percent": {"value": percent},
            "min_retry_concurrency": 3,
        }
        assert "max_retries" not in thresholds


@pytest.mark.parametrize(
    ("hostnames", "others"),
    [
        (("catalog",), ["mesh:undeclared", "mesh:unknown"]),
        (("*.x.shop.mesh", "*.example"), ["mesh:undeclared", "mesh:unknown"]),
        (("*.shop.mesh",), ["mesh:unknown"]),
        (("*.mesh",), ["mesh:unknown"]),
        (("*",), []),
    ],
)
def test_wildcards_leave_nothing_behind_them(hostnames, others):
    host = structs.replace(virtual_host("wild", route("all", ONE)), hostnames=hostnames)
    made = caller(host, clusters=(cluster("catalog", ("10.0.0.1", 1, 1)),))
    hosts = manager(made, "outbound")["route_config"]["virtual_hosts"]
    assert [each["name"] for each in hosts[1:]] == others


def test_an_upload_finds_its_route_again_under_every_name():
    """Envoy crashes when a timer ends for a request that has lost its route."""
    moved = route(
        "moved",
        ONE,
        body_timeout=ir.BodyTimeout(timedelta(seconds=1)),
        rewrite=ir.Rewrite(hostname="elsewhere.example"),
    )
    made = web(moved)
    for host in manager(made, "outbound")["route_config"]["virtual_hosts"]:
        first = host["routes"][0]
        assert (first["name"], first["route"]["idle_timeout"]) == ("moved", "0s"), host["name"]
        assert first["match"]["prefix"] == "/"
    added = routes_of(made)[1]["request_headers_to_add"][-1]
    assert (added["header"]["value"], added["append_action"]) == ("http", "ADD_IF_ABSENT")


def test_no_name_is_nobody_and_not_anybody():
    with pytest.raises(ValueError, match="no name"):
        mtls.downstream([], ir.TlsContext(ir.TlsVersion.V1_3))


def test_cipher_suites_are_those_that_are_written():
    suites = ("ECDHE-ECDSA-AES256-GCM-SHA384",)
    made = structs.replace(web(), tls=ir.TlsContext(ir.TlsVersion.V1_2, cipher_suites=suites))
    assert bootstrap(made)["static_resources"]["listeners"][0]["filter_chains"][0]["transport_socket"][
        "typed_config"
    ]["common_tls_context"]["tls_params"]["cipher_suites"] == [*suites]


def test_one_cache_of_names_wherever_it_stands(tmp_path):
    made = outside.web(tmp_path / "ca.pem")
    text = json.dumps(bootstrap(made))
    at = [place for place in range(len(text)) if text.startswith('"dns_cache_config": ', place)]
    caches = [json.JSONDecoder().raw_decode(text, place + len('"dns_cache_config": '))[0] for place in at]
    # Three clusters, and the filter of the own listener and of the local port.
    assert len(caches) == 5
    assert all(each == caches[0] for each in caches)


def retrying(*conditions, attempts=2, per_try=0, **others):
    limit = ir.PerTryTimeout(timedelta(milliseconds=per_try))
    return ir.RetryPolicy(attempts, conditions, ("GET",), per_try_timeout=limit, **others)


RESETS = {ir.Feature.RETRY_RESET, ir.Feature.RETRY_SERVER_ERROR}


@pytest.mark.parametrize(
    ("retries", "warned"),
    [
        (retrying(CONNECT, RESET), set()),
        (retrying(CONNECT, SERVER, SLOW, per_try=1), {ir.Feature.PER_TRY_TIMEOUT}),
        (retrying(RESET), RESETS),
        (retrying(CONNECT, SERVER, per_try=1), {*RESETS, ir.Feature.PER_TRY_TIMEOUT}),
        (retrying(CONNECT, SLOW, per_try=1), {ir.Feature.RETRY_PER_TRY_TIMEOUT, ir.Feature.PER_TRY_TIMEOUT}),
        (retrying(CONNECT, attempts=0, per_try=1), set()),
        (retrying(CONNECT, budget=ir.RetryBudget(Fraction(1, 5))), set()),
    ],
)
def test_what_differs_is_said_where_it_can_show(retries, warned):
    made = web(route("all", ONE, retries=retries))
    asked = {*RESETS, ir.Feature.RETRY_PER_TRY_TIMEOUT, ir.Feature.PER_TRY_TIMEOUT, ir.Feature.RETRY_BUDGET}
    assert {each for each in asked if differs(each, made)} == warned


def differs(feature, made):
    capability = envoy.CAPABILITIES[feature]
    return isinstance(capability, Emulated) and capability.applies(made)


def test_budgets_of_subsets_are_counted_apart():
    policy = retrying(CONNECT, budget=ir.RetryBudget(Fraction(1, 5)))
    both = (cluster("catalog.a", ("10.0.0.1", 1, 1)), cluster("catalog.b", ("10.0.0.2", 1, 1)))
    made = web(route("all", ("catalog.a", 1), ("catalog.b", 1), retries=policy), clusters=both)
    assert differs(ir.Feature.RETRY_BUDGET, made)


@pytest.mark.parametrize(("name", "joined"), [("x-a", False), ("accept", True), ("x-forwarded-for", True)])
def test_joined_headers(name, joined):
    header = ir.HeaderMatch(name, "[a]", ir.ValueMatchKind.REGEX)
    matched = web(route("r", ONE, match=ir.RouteMatch(everything().path, (), (header,))))
    assert differs(ir.Feature.HEADER_REGEX, matched) == joined
    added = web(route("r", ONE, request_headers=ir.HeaderChanges(add=((name, "1"),))))
    assert differs(ir.Feature.REQUEST_HEADERS, added) == joined
    rule = authorized.rule("*", headers=[(name, "a")])
    denying = authorized.guarded("x", "127.0.0.1", structs.replace(authorized.RULES, deny=(rule,)))
    assert any(each.applies(denying) for each in envoy.CONFLICTS) == joined
    allowing = authorized.guarded("x", "127.0.0.1", structs.replace(authorized.RULES, deny=(), rules=(rule,)))
    assert differs(ir.Feature.HEADER_MATCH, allowing) == joined
    assert not any(each.applies(allowing) for each in envoy.CONFLICTS)


def test_rules_of_methods_that_envoy_does_not_read():
    rule = structs.replace(authorized.rule("a", methods=("GET", "QUERY")), at=WRITTEN)
    made = authorized.guarded("x", "127.0.0.1", structs.replace(authorized.RULES, rules=(rule,)))
    assert any(each.applies(made) for each in envoy.CONFLICTS)
