"""The tables cover what the targets claim, and stray from it only where a target has said so."""

from __future__ import annotations

import pytest

from meshctl.ir import Feature, Proxy
from meshctl.targets import target
from meshctl.targets.base import Emulated, Pending, Unsupported
from tests.behaviour.tables import TABLES, parse_table


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_names_features_that_exist(table):
    assert table.features
    assert set(table.features) <= {str(feature) for feature in Feature}


@pytest.mark.parametrize("proxy", Proxy)
def test_every_capability_is_exercised_by_a_table(proxy):
    claimed = {
        feature
        for feature, capability in target(proxy).CAPABILITIES.items()
        if not isinstance(capability, (Unsupported, Pending))
    }
    exercised = {feature for table in TABLES for feature in table.features}
    assert {str(each) for each in claimed} <= exercised


MOST_SIDECARS = 14
"""Envoy keeps four inotify instances, Linux gives a user 128 (fs.inotify.max_user_instances), and two workers run tests."""


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_two_worlds_have_room_on_one_machine(table):
    written = {**table.spec["services"], **table.spec.get("gateways", {})}
    places = {each["address"] for service in written.values() for each in service.get("endpoints", [])}
    assert len(places) - len({*table.absent, *table.silent, *table.resetting}) <= MOST_SIDECARS


def differences():
    return [
        (table, row, each)
        for table in TABLES
        for written in table.requests
        for row in (written, *written.steps)
        for each in row.differs
    ]


def test_a_difference_is_a_declared_emulation():
    for table, row, each in differences():
        capability = target(Proxy(each.proxy)).CAPABILITIES[Feature(each.feature)]
        assert isinstance(capability, Emulated), f"{table.name}: {row.name}: {each.proxy} claims {capability}"
        assert each.feature in table.features, f"{table.name}: {row.name}"


@pytest.mark.parametrize(
    "row",
    [
        {"name": "a", "expect": {"statsu": 200}},
        {"name": "a", "expects": {}, "expect": {}},
        {
            "name": "a",
            "expect": {},
            "differs": [{"proxy": "nginx", "role": "caller", "feature": "x", "expect": {"y": 1}}],
        },
    ],
)
def test_a_key_that_nobody_reads_is_an_error(row):
    with pytest.raises(ValueError, match="has no"):
        parse_table("t", {"features": [], "spec": {}, "requests": [row]})


def test_rows_are_told_apart():
    row = {"name": "a", "expect": {}}
    with pytest.raises(ValueError, match="two rows of one name"):
        parse_table("t", {"features": [], "spec": {}, "requests": [row, dict(row)]})
