"""What each sidecar holds: its calls and nothing else, its callers, its addresses, its build id."""

from __future__ import annotations

import pytest

from meshctl import ir
from meshctl.resolve import loopback, resolve
from tests.unit.resolve.specs import read, resolved, sidecar, slugs

THREE = """
services:
  web: {port: 8080, endpoints: [{address: 10.0.0.1}], calls: {catalog: {}}}
  catalog:
    port: 8080
    endpoints: [{address: 10.0.0.2, subset: v1}, {address: 10.0.0.3, subset: v2, weight: 3}]
    routes:
      - {name: next, matches: [{path: {prefix: /next}}], backends: [{service: stock}]}
      - {name: rest, backends: [{subset: v1, weight: 90}, {subset: v2, weight: 0}]}
  stock: {port: 8080, endpoints: [{address: 10.0.0.4}]}
"""


def test_a_sidecar_holds_only_what_its_service_calls(tmp_path):
    mesh = resolved(tmp_path, THREE)
    assert [each.name for each in sidecar(mesh, "web").clusters] == ["catalog.v1", "stock"]
    assert sidecar(mesh, "stock").clusters == ()
    assert sidecar(mesh, "stock").outbound.virtual_hosts == ()


def test_declared_callers_are_let_in_and_so_are_those_whom_a_route_leads_on(tmp_path):
    mesh = resolved(tmp_path, THREE)
    callers = {
        each.service: [one.service for rule in each.inbound.authorization.rules for one in rule.principals]
        for each in mesh.sidecars
        if each.inbound
    }
    assert callers == {"catalog": ["web"], "stock": ["web"], "web": []}
    assert mesh.calls == (("web", "catalog"), ("web", "stock"))


def test_a_weight_of_zero_takes_no_requests(tmp_path):
    rest = sidecar(resolved(tmp_path, THREE), "web").outbound.virtual_hosts[0].routes[-1]
    assert rest.backends == (ir.WeightedCluster("catalog.v1", 1),)


@pytest.mark.parametrize(
    ("weights", "meant"),
    [((90, 10), (9, 1)), ((1, 3), (1, 3)), ((1_000_000, 500_000), (2, 1)), ((7, 7), (1, 1))],
)
def test_weights_are_reduced(tmp_path, weights, meant):
    text = THREE.replace("weight: 90", f"weight: {weights[0]}").replace(
        "v2, weight: 0", f"v2, weight: {weights[1]}"
    )
    rest = sidecar(resolved(tmp_path, text), "web").outbound.virtual_hosts[0].routes[-1]
    assert tuple(each.weight for each in rest.backends) == meant


def test_an_unrelated_change_leaves_a_build_id_alone(tmp_path):
    before = resolved(tmp_path, THREE)
    after = resolved(
        tmp_path, "# a comment\n\n" + THREE + "  new: {port: 1, endpoints: [{address: 10.9.9.9}]}\n"
    )
    builds = {each.service: each.build for each in before.sidecars}
    assert {each.service: each.build for each in after.sidecars if each.service != "new"} == builds


def test_a_change_of_a_callee_changes_its_callers_build_id(tmp_path):
    before, after = (resolved(tmp_path, text) for text in (THREE, THREE.replace("10.0.0.2", "10.0.0.22")))
    changed = {
        old.service
        for old, new in zip(before.sidecars, after.sidecars, strict=True)
        if old.build != new.build
    }
    assert changed == {"web"}


def test_a_written_default_is_another_build_than_an_unwritten_one(tmp_path):
    plain = resolved(tmp_path, THREE)
    written = resolved(tmp_path, THREE.replace("  stock: {", "  stock: {timeout: 15s, "))
    assert sidecar(plain, "web").build == sidecar(written, "web").build
    written = resolved(tmp_path, THREE.replace("  catalog:\n", "  catalog:\n    timeout: 15s\n"))
    assert sidecar(plain, "web").build != sidecar(written, "web").build


def test_endpoints_share_a_bundle_that_listens_on_every_address(tmp_path):
    mesh = resolved(tmp_path, THREE)
    [catalog] = [each for each in mesh.sidecars if each.service == "catalog"]
    assert catalog.instance == ""
    assert str(catalog.inbound.bind) == "0.0.0.0:15006"
    assert str(catalog.outbound.bind) == "127.0.0.1:15001"


def test_bind_endpoint_gives_each_its_own_and_stays_off_other_hosts_loopback(tmp_path):
    mesh = resolved(tmp_path, THREE, ", bind: endpoint")
    catalog = [each for each in mesh.sidecars if each.service == "catalog"]
    assert [each.instance for each in catalog] == ["10.0.0.2", "10.0.0.3"]
    assert [str(each.inbound.bind) for each in catalog] == ["10.0.0.2:15006", "10.0.0.3:15006"]
    assert {str(each.admin.bind) for each in catalog} == {"127.0.0.1:15000"}


def test_on_one_machine_everything_of_an_instance_is_on_its_address(tmp_path):
    mesh = resolve(loopback(read(tmp_path, THREE))).mesh
    assert mesh is not None
    for each in mesh.sidecars:
        address = each.instance
        assert address.startswith("127.")
        assert str(each.outbound.bind) == f"{address}:15001"
        assert str(each.admin.bind) == f"{address}:15000"
        assert str(each.inbound.bind) == f"{address}:15006"
        assert str(each.inbound.application) == f"{address}:8080"
    assert len({each.instance for each in mesh.sidecars}) == len(mesh.sidecars)


@pytest.mark.parametrize(
    ("services", "slug"),
    [
        ("{a: {calls: {b: {}}}}", "undefined-reference"),
        ("{a: {port: 80, endpoints: [{address: 127.0.0.1}]}, b: {port: 81, endpoints: [{address: 127.0.0.2}]}}", "port-conflict"),
        ("{a: {port: 15006, endpoints: [{address: 10.0.0.1}]}}", "port-conflict"),
        ("{a: {endpoints: [{address: 10.0.0.1}]}}", "missing-key"),
        ("{a: {port: 80, endpoints: [{address: 10.0.0.1}], routes: [{name: r, backends: [{subset: v1}]}]}}", "undefined-reference"),
        ("{a: {port: 80, routes: [{name: r, backends: [{weight: 1}]}]}}", "missing-key"),
        ("{a: {port: 80, routes: [{name: r, backends: [{service: a, weight: 0}]}]}}", "weights-all-zero"),
        ("{a: {routes: [{name: r}, {name: r}]}}", "duplicate-definition"),
        ("{a: {routes: [{name: r, matches: [{path: {prefix: /a, exact: /b}}]}]}}", "ambiguous-match"),
        ("{a: {routes: [{name: r, matches: [{path: {prefix: /a/../b}}]}]}}", "path-not-canonical"),
        ("{a: {routes: [{name: r, matches: [{path: {prefix: /%61}}]}]}}", "path-not-canonical"),
        ("{a: {}, b: {calls: {a: {}}}}", "route-to-empty-pool"),
    ],
)  # fmt: skip
def test_faults_of_meaning(tmp_path, services, slug):
    assert slug in slugs(resolve(read(tmp_path, f"services: {services}")))


@pytest.mark.parametrize(("mesh", "helps"), [("", True), (", bind: endpoint", False)])
def test_bind_endpoint_is_the_way_out_only_where_it_is_not_taken_yet(tmp_path, mesh, helps):
    both = "{port: 80, endpoints: [{address: 127.0.0.2}]}"
    resolution = resolve(read(tmp_path, f"services: {{a: {both}, b: {both}}}", mesh))
    assert {"bind: endpoint" in each.fix for each in resolution.findings} == {helps}
