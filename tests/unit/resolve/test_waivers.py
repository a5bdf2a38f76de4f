"""A waiver covers what it stands at, be it a route, a service, a gateway, an external or the mesh, and no more."""

from __future__ import annotations

import pytest

from meshctl.catalogue import finding
from meshctl.resolve import Owners, waive
from tests.unit.resolve.specs import read

WAIVER = "{finding: route-to-empty-pool, reason: known, owner: team, until: 2027-01-01}"
MESH = """
services:
  catalog:
    port: 80
    endpoints: [{{address: 10.0.0.1}}]
    routes:
      - name: beta
        timeout: 1s
        waive: [{beta}]
      - {{name: rest, timeout: 2s}}
    idleTimeout: 1m
    waive: [{catalog}]
gateways:
  edge: {{port: 80, calls: {{catalog: {{}}}}, waive: [{edge}]}}
externals:
  pay: {{hosts: [pay.example], port: 80, waive: [{pay}]}}
"""
PLACES = {
    "beta": ("services", "catalog", "routes", 0, "timeout"),
    "rest": ("services", "catalog", "routes", 1, "timeout"),
    "behind the routes": ("services", "catalog", "idleTimeout"),
    "edge": ("gateways", "edge", "calls"),
    "pay": ("externals", "pay", "hosts"),
    "mesh": ("mesh", "name"),
}
OTHER = WAIVER.replace("route-to-empty-pool", "missing-timeout")


def spec(tmp_path, at: str):
    where = {name: WAIVER if name == at else OTHER for name in ("beta", "catalog", "edge", "pay")}
    mesh = f", waive: [{WAIVER}]" if at == "mesh" else ""
    return read(tmp_path, MESH.format(**where), mesh)


@pytest.mark.parametrize(
    ("at", "covered"),
    [
        ("beta", {"beta"}),
        ("catalog", {"beta", "rest", "behind the routes"}),
        ("edge", {"edge"}),
        ("pay", {"pay"}),
        ("mesh", set(PLACES)),
    ],
)
def test_what_a_waiver_covers(tmp_path, at, covered):
    written = spec(tmp_path, at)
    for name, place in PLACES.items():
        found = finding("route-to-empty-pool", written.source.at(*place), name)
        (waived,) = waive([found], written)
        assert bool(waived.waived) is (name in covered), name


@pytest.mark.parametrize(
    ("name", "around"),
    [
        ("beta", ("catalog/beta", "catalog", "")),
        ("behind the routes", ("catalog", "")),
        ("edge", ("edge", "")),
        ("mesh", ("",)),
    ],
)
def test_the_innermost_block_comes_first(tmp_path, name, around):
    written = spec(tmp_path, "mesh")
    assert Owners(written.source).around(written.source.at(*PLACES[name])) == around
