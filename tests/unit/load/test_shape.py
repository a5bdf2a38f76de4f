"""A spec that shares nodes with one that has the right shape is not looked at twice."""

import pytest

from meshctl.load import read_yaml
from meshctl.load.shape import shape
from meshctl.spec import Positions, Source, Spec

TEXT = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services:
  web: {port: 8080, calls: {api: {}}}
  api: {port: 8081}
"""


@pytest.fixture
def positions():
    return Positions()


@pytest.fixture
def other(positions):
    source = Source(positions, read_yaml(TEXT.encode(), "f.yaml", positions).node)
    written, faults = shape(source)
    assert written is not None, faults
    return Spec(written, source)


@pytest.mark.parametrize(
    "services",
    [
        "{api: {port: 1}}",
        "{api: }",
        "{new: }",
        "{api: {port: no}, new: {ports: x}}",
        "{Bad: {port: 1}}",
        "{api: {portt: 1, calls: {web: {timeout: x}}}}",
    ],
)
def test_the_rest_is_read_as_ever(positions, other, services):
    changed = read_yaml(services.encode(), "g.yaml", positions).node
    shared = other.source.node["services"]["web"]
    source = Source(positions, {**other.source.node, "services": {"web": shared, **changed}})
    written, faults = shape(source, other)
    assert (written, faults) == shape(source)
    if written is not None:
        mine, theirs = written.services or {}, other.written.services or {}
        assert mine["web"] is theirs["web"]
        assert mine["api"] is not theirs["api"]


@pytest.mark.parametrize("services", [None, "x", [], {}])
def test_services_that_are_none_are_told(positions, other, services):
    source = Source(positions, {**other.source.node, "services": services})
    assert shape(source, other) == shape(source)
    assert shape(source, other)[1]


def test_a_spec_without_services_has_nothing_to_take(positions, other):
    top = {key: node for key, node in other.source.node.items() if key != "services"}
    empty, faults = shape(Source(positions, top))
    assert empty is not None, faults
    assert shape(other.source, Spec(empty, Source(positions, top))) == (other.written, ())
