"""Addresses that `bind: endpoint` makes ineffective, and those that hold all the same."""

from __future__ import annotations

import pytest

from meshctl.resolve import loopback, resolve
from tests.unit.resolve.specs import read

HERE, THERE = "127.0.1.1", "10.0.0.1"
SERVICE = "services: {web: {port: 80, endpoints: [{address: %s}]%s}}"
GATEWAY = (
    SERVICE % (THERE, "") + "\ngateways: {edge: {port: 8080, endpoints: [{address: %s}], calls: {web: {}}%s}}"
)


@pytest.mark.parametrize(
    ("mesh", "text", "found"),
    [
        ("", SERVICE % (THERE, ", inbound: {address: 10.0.0.1}"), 0),
        (", bind: endpoint", SERVICE % (THERE, ", inbound: {address: 10.0.0.1}"), 1),
        (", bind: endpoint", SERVICE % (THERE, ", inbound: {port: 1}"), 0),
        (", bind: endpoint", SERVICE % (THERE, ", bind: shared, inbound: {address: 10.0.0.1}"), 0),
        (", bind: endpoint", SERVICE % (THERE, ", outbound: {address: 127.0.0.9}, admin: {address: 127.0.0.9}"), 0),
        (", bind: endpoint", SERVICE % (THERE, ", appAddress: 127.0.0.7"), 0),
        (", bind: endpoint", SERVICE % (HERE, ", appAddress: 127.0.0.7"), 1),
        (", bind: endpoint", SERVICE % (HERE, ", outbound: {address: 127.0.0.9}, admin: {address: 127.0.0.9}"), 2),
        (", bind: endpoint", SERVICE % (HERE, ", health: {address: 127.0.0.9}"), 1),
        (", bind: endpoint, inbound: {address: 10.0.0.1}", SERVICE % (THERE, ""), 1),
        (", bind: endpoint, inbound: {address: 10.0.0.1}", SERVICE % (THERE, ", bind: shared"), 0),
        (", bind: endpoint, inbound: {address: 10.0.0.1}", SERVICE % (THERE, ", inbound: {address: 10.0.0.2}"), 1),
        (", bind: endpoint, admin: {address: 127.0.0.9}", SERVICE % (HERE, ""), 1),
        (", bind: endpoint, admin: {address: 127.0.0.9}", GATEWAY % (HERE, ""), 0),
        (", bind: endpoint", GATEWAY % (HERE, ", bind: 127.0.0.9"), 0),
        (", bind: endpoint", GATEWAY % (HERE, ", admin: {address: 127.0.0.9}"), 1),
    ],
)  # fmt: skip
def test_an_address_that_does_not_hold_is_told(tmp_path, mesh, text, found):
    findings = resolve(read(tmp_path, text, mesh)).findings
    assert [each.slug for each in findings] == ["ineffective-setting"] * found
    assert all(each.related for each in findings)


def test_a_mesh_moved_to_one_machine_tells_nothing_of_addresses(tmp_path):
    written = SERVICE % (THERE, ", inbound: {address: 10.0.0.1}, appAddress: 10.0.0.7")
    assert not resolve(loopback(read(tmp_path, written, ", admin: {address: 127.0.0.9}"))).findings
