"""Locality: which endpoints come first, for whom, and which bundles that makes."""

from __future__ import annotations

import pytest

from meshctl import ir
from tests.unit.resolve.specs import resolved, sidecar

API = "{port: 80, %sendpoints: [{address: 10.0.1.1, zone: a}, {address: 10.0.1.2, zone: b}, {address: 10.0.1.3}]}"
SPEC = """
services:
  web: {{port: 80, {web}, calls: {{api: {{{call}}}}}}}
  api: {api}
"""


def mesh(tmp_path, locality: str, web: str = "endpoints: [{address: 10.0.0.1, zone: a}]", call: str = ""):
    written = f"locality: {locality}, " if locality else ""
    return resolved(tmp_path, SPEC.format(web=web, call=call, api=API % written))


def priorities(sidecar: ir.Sidecar) -> list[int]:
    (cluster,) = sidecar.clusters
    return [each.priority for each in cluster.endpoints]


@pytest.mark.parametrize(
    ("locality", "expected"),
    [
        ("", [0, 0, 0]),
        ("{preferSameZone: true}", [0, 1, 1]),
        ("{preferSameZone: true, failover: [b]}", [0, 1, 2]),
        ("{preferSameZone: true, failover: [b, a]}", [0, 1, 2]),
        ("{failover: [b, a]}", [1, 0, 2]),
        ("{failover: [b]}", [1, 0, 1]),
        ("{preferSameZone: false}", [0, 0, 0]),
        # Levels without endpoints leave no gap.
        ("{preferSameZone: true, failover: [zz, b]}", [0, 1, 2]),
    ],
)
def test_the_levels_of_endpoints(tmp_path, locality, expected):
    web = "endpoints: [{address: 10.0.0.1, zone: a}, {address: 10.0.0.2, zone: a}, {address: 10.0.0.9, zone: zz}]"
    sidecars = mesh(tmp_path, locality, web).sidecars
    assert priorities(next(each for each in sidecars if each.service == "web")) == expected


@pytest.mark.parametrize(
    ("web", "expected"),
    [
        # The zone of the service stands for endpoints that name none, and for a service without endpoints.
        ("zone: b, endpoints: [{address: 10.0.0.1}]", [1, 0, 1]),
        ("zone: b, endpoints: [{address: 10.0.0.1, zone: a}]", [0, 1, 1]),
        ("zone: b", [1, 0, 1]),
        # Nobody knows where this one is.
        ("endpoints: [{address: 10.0.0.1}]", [0, 0, 0]),
        # Nothing of the callee is here.
        ("zone: c", [0, 0, 0]),
    ],
)
def test_the_zone_of_the_caller(tmp_path, web, expected):
    assert priorities(sidecar(mesh(tmp_path, "{preferSameZone: true}", web), "web")) == expected


TWO = "endpoints: [{address: 10.0.0.1, zone: a}, {address: 10.0.0.2, zone: b}, {address: 10.0.0.3, zone: a}]"


@pytest.mark.parametrize(
    ("locality", "call", "expected"),
    [
        ("{preferSameZone: true}", "", {"zone-a": [0, 1, 1], "zone-b": [1, 0, 1]}),
        ("", "locality: {preferSameZone: true}", {"zone-a": [0, 1, 1], "zone-b": [1, 0, 1]}),
        # Maps merge: the call keeps the preference and brings the list.
        ("{preferSameZone: true}", "locality: {failover: [b]}", {"zone-a": [0, 1, 2], "zone-b": [1, 0, 1]}),
        # The zone of the caller does not count, so one bundle is enough.
        ("{failover: [b]}", "", {"": [1, 0, 1]}),
        ("{preferSameZone: true}", "locality: {preferSameZone: false}", {"": [0, 0, 0]}),
        ("", "", {"": [0, 0, 0]}),
    ],
)
def test_bundles_are_split_by_zone_where_it_matters(tmp_path, locality, call, expected):
    sidecars = [each for each in mesh(tmp_path, locality, TWO, call).sidecars if each.service == "web"]
    assert {each.instance: priorities(each) for each in sidecars} == expected
    # The callee asks nobody, so its bundle stays one.
    assert [
        each.instance for each in mesh(tmp_path, locality, TWO, call).sidecars if each.service == "api"
    ] == [""]


@pytest.mark.parametrize(
    ("endpoints", "more", "instances"),
    [
        ("{address: 10.0.0.1, zone: a}, {address: 10.0.0.2}", "", ["no-zone", "zone-a"]),
        (
            "{address: 10.0.0.1, zone: a}, {address: 10.0.0.2, zone: b, port: 16006}",
            "",
            ["port-15006-zone-a", "port-16006-zone-b"],
        ),
        (
            "{address: 10.0.0.1, zone: a}, {address: 10.0.0.2, zone: a, port: 16006}",
            "",
            ["port-15006", "port-16006"],
        ),
        (
            "{address: 10.0.0.1, zone: a}, {address: 10.0.0.2, zone: b}",
            "bind: endpoint, ",
            ["10.0.0.1", "10.0.0.2"],
        ),
    ],
)
def test_the_names_of_bundles(tmp_path, endpoints, more, instances):
    made = mesh(tmp_path, "{preferSameZone: true}", f"{more}endpoints: [{endpoints}]")
    assert [each.instance for each in made.sidecars if each.service == "web"] == instances


def test_a_bundle_of_one_endpoint_knows_its_zone(tmp_path):
    made = mesh(tmp_path, "{preferSameZone: true}", f"bind: endpoint, {TWO}")
    found = {each.instance: priorities(each) for each in made.sidecars if each.service == "web"}
    assert found == {"10.0.0.1": [0, 1, 1], "10.0.0.2": [1, 0, 1], "10.0.0.3": [0, 1, 1]}


GATEWAY = """
services:
  api: {port: 80, locality: {preferSameZone: true}, endpoints: [{address: 10.0.1.1, zone: a}, {address: 10.0.1.2, zone: b}]}
  web: {port: 80, endpoints: [{address: 10.0.2.1}], routes: [{name: all, backends: [{service: api}]}]}
gateways:
  edge: {port: 80, %s, calls: {web: {}, api: {}}, routes: [{name: all, backends: [{service: api}]}]}
"""


@pytest.mark.parametrize(
    ("edge", "expected"),
    [
        ("zone: b", {"": [1, 0]}),
        (
            "endpoints: [{address: 10.0.0.1, zone: a}, {address: 10.0.0.2, zone: b}]",
            {"zone-a": [0, 1], "zone-b": [1, 0]},
        ),
    ],
)
def test_gateways_have_zones_too(tmp_path, edge, expected):
    sidecars = [each for each in resolved(tmp_path, GATEWAY % edge).sidecars if each.service == "edge"]
    assert {each.instance: priorities(each) for each in sidecars} == expected


def test_a_callee_that_a_route_leads_on_to_counts(tmp_path):
    spec = (GATEWAY % "zone: a").replace(
        "gateways:",
        "  shop: {port: 80, endpoints: [{address: 10.0.3.1, zone: a}, {address: 10.0.3.2, zone: b}], "
        "calls: {web: {}}}\ngateways:",
    )
    sidecars = [each for each in resolved(tmp_path, spec).sidecars if each.service == "shop"]
    assert {each.instance: priorities(each) for each in sidecars} == {"zone-a": [0, 1], "zone-b": [1, 0]}


def test_subsets_have_levels_of_their_own(tmp_path):
    text = """
    services:
      web: {port: 80, zone: a, endpoints: [{address: 10.0.0.1}], calls: {api: {}}}
      api:
        port: 80
        locality: {preferSameZone: true}
        endpoints: [{address: 10.0.1.1, zone: a, subset: v1}, {address: 10.0.1.2, zone: b, subset: v2},
                    {address: 10.0.1.3, zone: b, subset: v1}, {address: 10.0.1.4, zone: a, subset: v2, weight: 0}]
        routes: [{name: all, backends: [{subset: v1}, {subset: v2}]}]
    """
    clusters = {each.name: each for each in sidecar(resolved(tmp_path, text), "web").clusters}
    assert [each.priority for each in clusters["api.v1"].endpoints] == [0, 1]
    # The one of the own zone takes no requests, so the others come first.
    assert [each.priority for each in clusters["api.v2"].endpoints] == [0]


def test_it_is_asked_where_it_was_written(tmp_path):
    (cluster,) = sidecar(mesh(tmp_path, "{preferSameZone: true}"), "web").clusters
    (use,) = [each for each in cluster.asks if each.feature is ir.Feature.LOCALITY]
    assert (use.at.line, use.at.column) == (6, 19)
    (cluster,) = sidecar(mesh(tmp_path, ""), "web").clusters
    assert not [each for each in cluster.asks if each.feature is ir.Feature.LOCALITY]
