"""Where sidecars are asked, and as whom."""

from __future__ import annotations

import pytest

from meshctl import pipeline
from meshctl.pipeline.asking_sidecars import _addresses, _caller_of

SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example, proxy: envoy, resolvers: ["10.0.0.53:53"], authorization: {mode: open}}
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}, {address: 10.0.0.2}], calls: {catalog: {}, found: {}, open: {}}}
  catalog: {port: 80, endpoints: [{address: 10.0.0.3}, {address: 10.0.0.4, port: 7000, weight: 0}]}
  own: {port: 80, bind: endpoint, endpoints: [{address: 10.0.0.5}, {address: "2001:db8::5"}]}
  open: {port: 80, mtls: {mode: disabled}, endpoints: [{address: 10.0.0.6}]}
  found: {port: 80, discovery: {dns: {name: found.example}}}
gateways:
  edge: {port: 8081, endpoints: [{address: 10.0.0.7}], hostnames: [shop.example], calls: {web: {}}}
"""


@pytest.fixture(scope="module")
def validated(tmp_path_factory):
    path = tmp_path_factory.mktemp("asking") / "mesh.yaml"
    path.write_text(SPEC)
    found = pipeline.validate(str(path))
    assert found.mesh is not None, found.findings
    return found


@pytest.mark.parametrize(
    ("bundle", "addresses", "caller"),
    [
        ("web/", ["10.0.0.1:15006", "10.0.0.2:15006"], "edge"),
        ("catalog/port-15006", ["10.0.0.3:15006"], "web"),
        ("catalog/port-7000", ["10.0.0.4:7000"], "web"),
        ("own/10.0.0.5", ["10.0.0.5:15006"], "own"),
        ("own/2001:db8::5", ["[2001:db8::5]:15006"], "own"),
        ("open/", [], "web"),
        ("found/", [], "web"),
        ("edge/", [], "edge"),
    ],
)
def test_every_endpoint_is_asked_as_somebody_who_calls_it(validated, bundle, addresses, caller):
    mesh = validated.require()
    sidecar = next(each for each in mesh.sidecars if f"{each.service}/{each.instance}" == bundle)
    assert [str(each) for each in _addresses(validated, sidecar)] == addresses
    assert _caller_of(mesh, sidecar).service == caller
