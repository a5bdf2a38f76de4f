"""Which of defaults, callee, call and route decides, for each setting and each layer."""

from __future__ import annotations

from datetime import timedelta

import pytest

from meshctl import ir
from meshctl.resolve import resolve
from tests.unit.resolve.specs import read, resolved, sidecar, slugs


def mesh_with(folder, *, defaults="", service="", call="", route="") -> ir.Sidecar:
    """The caller's sidecar when each layer says what is given."""
    routes = f", routes: [{{name: r, {route}}}]" if route else ""
    text = f"""
    defaults: {{{defaults or "idleTimeout: 9m"}}}
    services:
      web: {{calls: {{catalog: {{{call}}}}}}}
      catalog: {{port: 80, endpoints: [{{address: 10.0.0.1}}], {service or "owner: me"}{routes}}}
    """
    return sidecar(resolved(folder, text), "web")


@pytest.mark.parametrize(
    ("layers", "seconds", "line"),
    [
        ({}, 15, None),
        ({"defaults": "timeout: 1s"}, 1, 4),
        ({"defaults": "timeout: 1s", "service": "timeout: 2s"}, 2, 7),
        ({"service": "timeout: 2s", "call": "timeout: 3s"}, 3, 6),
        ({"defaults": "timeout: 1s", "call": "timeout: 3s", "route": "timeout: 4s"}, 4, 7),
    ],
)
def test_the_most_particular_timeout_holds_and_knows_its_place(tmp_path, layers, seconds, line):
    [route] = mesh_with(tmp_path, **layers).outbound.virtual_hosts[0].routes
    assert route.timeout.duration == timedelta(seconds=seconds)
    assert (route.timeout.at and route.timeout.at.line) == line
    assert route.timeout.written == (line is not None)


def test_the_default_retries_are_those_of_the_language(tmp_path):
    [route] = mesh_with(tmp_path).outbound.virtual_hosts[0].routes
    assert route.retries.attempts == 1
    assert route.retries.conditions == (ir.RetryCondition.CONNECT_FAILURE, ir.RetryCondition.REFUSED_STREAM)


def test_retries_merge_field_by_field_and_lists_replace(tmp_path):
    retries = mesh_with(
        tmp_path,
        defaults="retries: {attempts: 5, retryOn: [connect-failure]}",
        service="retries: {retryOn: [gateway-error]}",
        call="retries: {attempts: 2}",
    )
    [route] = retries.outbound.virtual_hosts[0].routes
    assert route.retries.attempts == 2
    assert route.retries.conditions == (ir.RetryCondition.GATEWAY_ERROR,)


def test_no_attempts_switch_retries_off(tmp_path):
    [route] = mesh_with(tmp_path, call="retries: {attempts: 0}").outbound.virtual_hosts[0].routes
    assert route.retries.attempts == 0
    assert not any(route.retries.retries_on(each) for each in ir.RetryCondition)


def test_attempts_without_a_condition_in_any_layer_are_refused(tmp_path):
    text = "services: {web: {port: 80, endpoints: [{address: 10.0.0.1}], retries: {attempts: 2}}}"
    assert slugs(resolve(read(tmp_path, text))) == ["retries-without-condition"]


def test_a_call_narrows_the_cluster_of_its_own_caller_only(tmp_path):
    text = """
    services:
      web: {calls: {catalog: {connectTimeout: 300ms}}}
      other: {calls: {catalog: {}}}
      catalog: {port: 80, connectTimeout: 2s, endpoints: [{address: 10.0.0.1}]}
    """
    mesh = resolved(tmp_path, text)
    assert sidecar(mesh, "web").clusters[0].connect_timeout == timedelta(milliseconds=300)
    assert sidecar(mesh, "other").clusters[0].connect_timeout == timedelta(seconds=2)


@pytest.mark.parametrize(
    ("layers", "streams"),
    [
        ({"service": "streaming: true", "defaults": "timeout: 1s, bodyTimeout: 1s"}, True),
        ({"route": "streaming: true", "service": "timeout: 1s, retries: {perTryTimeout: 1s}"}, True),
        ({"service": "streaming: true", "route": "streaming: false, timeout: 1s"}, False),
        ({"call": "streaming: true", "service": "timeout: 1s"}, True),
        ({"service": "timeout: 1s"}, False),
    ],
)
def test_a_stream_has_no_limits_of_less_particular_layers(tmp_path, layers, streams):
    [route] = mesh_with(tmp_path, **layers).outbound.virtual_hosts[0].routes
    assert route.streaming == streams
    limits = (route.timeout, route.body_timeout, route.retries.per_try_timeout)
    assert any(each.duration for each in limits) != streams
    asked = {use.feature for use in ir.features_of(route)}
    assert (ir.Feature.STREAMING in asked) == streams


def test_every_field_of_retries_merges_for_itself(tmp_path):
    [route] = (
        mesh_with(
            tmp_path,
            defaults="retries: {attempts: 5, retryOn: [429, reset, 503], budget: 10%}",
            service="retries: {backoff: {base: 20ms}, perTryTimeout: 300ms}, idempotent: [POST, GET]",
            call="retries: {nonIdempotent: true, budget: 20%}",
            route="retries: {perTryTimeout: 200ms}",
        )
        .outbound.virtual_hosts[0]
        .routes
    )
    retries = route.retries
    assert (retries.attempts, retries.conditions, retries.statuses) == (
        5,
        (ir.RetryCondition.RESET,),
        (429, 503),
    )
    assert (retries.backoff.base, retries.backoff.maximum) == (
        timedelta(milliseconds=20),
        timedelta(milliseconds=200),
    )
    assert retries.per_try_timeout.duration == timedelta(milliseconds=200)
    assert retries.budget.share * 100 == 20
    assert retries.non_idempotent
    assert retries.idempotent_methods == ("GET", "POST")
    lines = [each.at.line for each in (retries.per_try_timeout, retries.backoff, retries.budget)]
    assert lines == [7, 7, 6]


def test_a_limit_of_one_try_leaves_the_default_retries_alone(tmp_path):
    [route] = mesh_with(tmp_path, service="retries: {perTryTimeout: 1s}").outbound.virtual_hosts[0].routes
    assert route.retries.attempts == 1
    assert route.retries.conditions == (ir.RetryCondition.CONNECT_FAILURE, ir.RetryCondition.REFUSED_STREAM)


@pytest.mark.parametrize(
    ("layers", "found"),
    [
        ({"service": "timeout: 1s, retries: {perTryTimeout: 2s}"}, [("per-try-timeout-too-long", "error")]),
        ({"defaults": "timeout: 1s", "service": "retries: {perTryTimeout: 2s}"}, [("per-try-timeout-too-long", "warning")]),
        ({"service": "retries: {perTryTimeout: 2s}", "call": "timeout: 1s"}, [("per-try-timeout-too-long", "warning")]),
        ({"service": "timeout: 0s, retries: {perTryTimeout: 2s}"}, []),
        ({"service": "timeout: 2s, retries: {perTryTimeout: 2s}"}, []),
        ({"service": "streaming: true", "call": "timeout: 1s"}, [("timeout-of-a-stream", "error")]),
        ({"service": "streaming: true, timeout: 0s"}, []),
        ({"service": "timeout: 1s", "route": "streaming: true"}, []),
        ({"service": "retries: {attempts: 0, perTryTimeout: 1s}"}, []),
        ({"service": "retries: {attempts: 0}", "defaults": "retries: {retryOn: [reset]}"}, []),
        ({"defaults": "retries: {attempts: 0}", "call": "retries: {retryOn: [reset]}"}, [("ineffective-setting", "warning")]),
        ({"service": "retries: {attempts: 0, retryOn: [reset]}", "route": "retries: {attempts: 1}"}, []),
        ({"service": "retries: {attempts: 0, retryOn: [reset]}", "call": "retries: {attempts: 1}"}, []),
        ({"defaults": "retries: {attempts: 0, retryOn: [reset]}", "service": "retries: {attempts: 1}"}, []),
        ({"service": "retries: {attempts: 0, retryOn: [reset]}", "route": "retries: {attempts: 1, retryOn: [5xx]}"}, [("ineffective-setting", "warning")]),
        ({"service": "retries: {attempts: 0}, circuitBreaker: {maxRetries: 2}", "call": "retries: {attempts: 1, retryOn: [reset]}"}, []),
        ({"service": "retries: {attempts: 0}, circuitBreaker: {maxRetries: 2}", "edge": "retries: {attempts: 1, retryOn: [reset]}"}, []),
        ({"service": "retries: {attempts: 0, retryOn: [reset]}", "edge": "retries: {attempts: 1}"}, []),
        ({"service": "circuitBreaker: {maxRetries: 2}", "call": "retries: {budget: 20%}"}, []),
        ({"service": "circuitBreaker: {maxRetries: 2}, retries: {budget: 20%}"}, [("ineffective-setting", "warning")]),
    ],
)  # fmt: skip
def test_faults_of_policies_as_they_stand_after_inheritance(tmp_path, layers, found):
    defaults, service = layers.get("defaults", "idleTimeout: 9m"), layers.get("service", "owner: me")
    route = f", routes: [{{name: r, {layers['route']}}}]" if "route" in layers else ""
    text = f"""
    defaults: {{{defaults}}}
    services:
      web: {{calls: {{catalog: {{{layers.get("call", "")}}}}}}}
      catalog: {{port: 80, endpoints: [{{address: 10.0.0.1}}], {service}{route}}}
    """
    if "edge" in layers:
        backends = "backends: [{service: catalog}]"
        text += f"""
    gateways:
      edge:
        endpoints: [{{address: 10.0.0.9}}]
        port: 8080
        hostnames: [shop.example.org]
        calls: {{catalog: {{}}}}
        routes: [{{name: r, {backends}, {layers["edge"]}}}]
    """
    told = {(each.slug, each.severity.value) for each in resolve(read(tmp_path, text)).findings}
    assert sorted(told) == found


def test_a_condition_that_is_here_twice_is_told_where_it_is_so(tmp_path):
    text = """
        services:
          a:
            port: 80
            endpoints: [{address: 10.0.0.1}]
            retries:
              attempts: 2
              retryOn:
                - connect-failure
                - reset
                - connect-failure
        """
    (found,) = [each for each in resolve(read(tmp_path, text)).findings if each.slug == "repeated-item"]
    assert (found.at.line, found.message) == (13, "`connect-failure` is here twice: once is enough")
