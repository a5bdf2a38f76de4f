"""What `locality` cannot do, told once."""

from __future__ import annotations

import pytest

from meshctl.resolve import resolve
from tests.unit.resolve.specs import read, slugs

SPEC = """
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1, zone: c}], calls: {api: {}}}
  api:
    port: 80
    endpoints: [{address: 10.0.1.1, zone: a}, {address: 10.0.1.2, zone: b}]
    outlierDetection: {interval: 5s}
    locality: {preferSameZone: true, failover: [%s]}
"""


@pytest.mark.parametrize(
    ("zone", "told"), [("a", []), ("c", ["ineffective-setting"]), ("d", ["undefined-reference"])]
)
def test_a_zone_to_fall_back_on_has_endpoints_of_the_callee(tmp_path, zone, told):
    assert slugs(resolve(read(tmp_path, SPEC % zone))) == told
