"""`meshctl explain PATH` says what resolve does, and where it is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from meshctl import ir
from meshctl.cli.app import run
from tests.unit.resolve.specs import resolved, sidecar

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = Draft202012Validator(json.loads((ROOT / "schemas" / "settings.schema.json").read_text()))

TEXT = """\
defaults: {timeout: 5s, retries: {retryOn: [reset], attempts: 3}}
services:
  web:
    calls:
      catalog: {bodyTimeout: 2s, retries: {attempts: 1}}
  other: {calls: {catalog: {}}}
  catalog:
    port: 80
    endpoints: [{address: 10.0.0.1}]
    connectTimeout: 700ms
    circuitBreaker: {maxRequests: 9}
    retries: {perTryTimeout: 800ms, backoff: {base: 25ms}, budget: 20%}
    routes:
      - {name: slow, matches: [{path: {prefix: /slow}}], timeout: 9s}
      - {name: stream, matches: [{path: {prefix: /stream}}], streaming: true}
      - {name: rest}
"""


@pytest.fixture
def told(tmp_path, monkeypatch, capsys):
    """What is told of a path, by setting: the value, and the line or None."""
    mesh = resolved(tmp_path, TEXT)
    monkeypatch.chdir(tmp_path)

    def ask(path):
        assert run(["explain", path, "--format", "json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert not list(SCHEMA.iter_errors(document))
        return {
            each["setting"]: (each["value"], each["origin"] and each["origin"]["line"])
            for each in document["settings"]
        }

    ask.mesh = mesh  # type: ignore[attr-defined]
    return ask


def routes(mesh, caller):
    [host] = sidecar(mesh, caller).outbound.virtual_hosts
    return {route.name: route for route in host.routes}


def duration(value):
    return ir.duration_text(value) if value else "off"


@pytest.mark.parametrize(
    ("path", "caller", "route"),
    [
        ("services.catalog", "other", "rest"),
        ("services.catalog.routes.slow", "other", "slow"),
        ("services.web.calls.catalog", "web", "rest"),
        ("services.web.calls.catalog.routes.slow", "web", "slow"),
    ],
)
def test_what_is_told_is_what_is_resolved(told, path, caller, route):
    found, meant = told(path), routes(told.mesh, caller)[route]
    assert found["timeout"] == (duration(meant.timeout.duration), meant.timeout.at.line)
    body = meant.body_timeout
    assert found["bodyTimeout"] == (duration(body.duration), body.at and body.at.line)
    retries = meant.retries
    assert found["retries.attempts"][0] == str(retries.attempts)
    assert found["retries.retryOn"] == (", ".join(retries.conditions), 3)
    per_try = retries.per_try_timeout
    assert found["retries.perTryTimeout"] == (duration(per_try.duration), per_try.at.line)
    assert found["retries.budget"] == (f"{int(retries.budget.share * 100)}%", retries.budget.at.line)
    assert found["idempotent"] == (", ".join(retries.idempotent_methods), None)


def test_what_is_told_of_a_cluster_is_what_is_resolved(told):
    found, [cluster] = told("services.catalog"), sidecar(told.mesh, "other").clusters
    assert found["connectTimeout"] == (duration(cluster.connect_timeout), 12)
    assert found["idleTimeout"] == (duration(cluster.idle_timeout), None)
    assert found["circuitBreaker.maxRequests"] == (str(cluster.circuit_breaker.max_requests), 13)
    assert found["circuitBreaker.maxConnections"] == (str(cluster.circuit_breaker.max_connections), None)
    assert found["inbound.port"] == ("15006", None)


def test_a_stream_has_no_limit_and_says_why(told):
    found = told("services.catalog.routes.stream")
    assert found["timeout"] == found["retries.perTryTimeout"] == ("off, for it streams", 17)
    stream = routes(told.mesh, "other")["stream"]
    assert not stream.timeout.duration
    assert not stream.retries.per_try_timeout.duration


def test_a_part_of_a_setting_can_be_asked_for(told):
    assert list(told("services.web.calls.catalog.retries.attempts")) == ["retries.attempts"]
    assert told("services.web.calls.catalog.retries.attempts")["retries.attempts"] == ("1", 7)
    assert told("mesh.mtls")["mtls.mode"] == ("strict", None)
    assert told("defaults.timeout")["timeout"] == ("5s", 3)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("services.catlog", "did you mean `catalog`?"),
        ("services.catalog.tiemout", "did you mean `timeout`?"),
        ("services.catalog.routes.slwo", "did you mean `slow`?"),
        ("services.web.calls.catalgo", "did you mean `catalog`?"),
        ("service.web", "did you mean `services`?"),
        ("services", "name one of them: `services.web`"),
        ("services.catalog.routes", "name one of them: `services.catalog.routes.slow`"),
        ("services.web.calls", "name one of them: `services.web.calls.catalog`"),
        ("mesh.name.x", "there is no setting `name.x`"),
        ("services.", "there is no service named ``"),
        (".", "there is no setting ``"),
    ],
)
def test_a_path_that_leads_nowhere_is_a_usage_error(told, capsys, path, words):
    assert run(["explain", path]) == 2
    assert words in capsys.readouterr().err


def test_the_table_fits_into_80_columns_and_names_the_lines(told, capsys):
    assert run(["explain", "services.catalog", "--spec", "mesh.yaml"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    [timeout] = [each for each in lines if each.startswith("timeout ")]
    assert timeout.split() == ["timeout", "5s", "mesh.yaml:3"]


TRAFFIC = """\
defaults:
  healthCheck: {http: {path: /h}, interval: 3s}
  rateLimit: {requests: 5, per: 1s, burst: 2}
services:
  web: {port: 80, zone: a, endpoints: [{address: 10.0.0.1}], calls: {api: {outlierDetection: {interval: 1s}}}}
  api:
    port: 80
    protocol: grpc
    rateLimit: {requests: 7, per: 1s}
    healthCheck: {grpc: {}}
    endpoints: [{address: 10.0.1.1, zone: a}, {address: 10.0.1.2, zone: b}]
    locality: {preferSameZone: true}
    routes: [{name: x, mirror: [{service: web, percent: 5%}], fault: {delay: {duration: 1s}}}]
"""


@pytest.fixture
def traffic(tmp_path, monkeypatch, capsys):
    mesh = resolved(tmp_path, TRAFFIC)
    monkeypatch.chdir(tmp_path)

    def ask(path):
        assert run(["explain", path, "--format", "json"]) == 0
        settings = json.loads(capsys.readouterr().out)["settings"]
        return {
            each["setting"]: (each["value"], each["origin"] and each["origin"]["line"]) for each in settings
        }

    ask.mesh = mesh  # type: ignore[attr-defined]
    return ask


def test_what_is_told_of_policies_is_what_is_resolved(traffic):
    found, [cluster, _] = traffic("services.web.calls.api"), sidecar(traffic.mesh, "web").clusters
    outlier, check = cluster.outlier_detection, cluster.health_check
    assert found["outlierDetection.interval"] == (duration(outlier.interval), 7)
    assert found["outlierDetection.consecutiveErrors"] == (str(outlier.consecutive_errors), None)
    assert found["outlierDetection.baseEjectionTime"] == (duration(outlier.ejection_time), None)
    assert found["outlierDetection.maxEjectionPercent"] == (f"{outlier.max_ejected * 100}%", None)
    assert found["healthCheck.grpc"] == ("{}", 12)
    assert "healthCheck.http" not in found
    assert check.kind is ir.HealthCheckKind.GRPC
    assert found["healthCheck.interval"] == (duration(check.interval), 4)
    assert found["healthCheck.timeout"] == (duration(check.timeout), None)
    assert found["healthCheck.unhealthyThreshold"] == (str(check.unhealthy_threshold), None)
    assert found["healthCheck.healthyThreshold"] == (str(check.healthy_threshold), None)
    assert found["locality.preferSameZone"] == ("true", 14)
    assert found["locality.failover"] == ("none", None)


def test_a_limit_is_told_as_a_whole(traffic):
    limit = sidecar(traffic.mesh, "api").inbound.rate_limit
    found = traffic("services.api.rateLimit")
    assert found == {
        "rateLimit.requests": ("7", 11),
        "rateLimit.per": ("1s", 11),
        "rateLimit.burst": ("as requests", None),
        "rateLimit.key": ("all callers together", None),
    }
    assert (limit.requests, limit.burst, limit.by_caller) == (7, 7, False)
    assert traffic("services.web.rateLimit.burst") == {"rateLimit.burst": ("2", 5)}


def test_what_is_off_is_told_so(traffic):
    assert traffic("services.web.outlierDetection") == {"outlierDetection": ("off", None)}
    assert traffic("services.web.outlierDetection.interval") == {"outlierDetection": ("off", None)}
    found = traffic("services.api.routes.x")
    assert found["mirror"] == ("{service: web, percent: 5%}", 15)
    assert (found["fault.delay"], found["fault.abort"]) == (("duration: 1s", 15), ("none", None))
