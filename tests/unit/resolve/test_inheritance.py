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
