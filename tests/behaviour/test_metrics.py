"""Metrics: known traffic, and what a scrape says of it, on every proxy under the same names."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from meshctl.ir import Proxy
from tests.behaviour.tables import Expect, Row, Table
from tests.behaviour.world import running

ROW = Row("a request", Expect(), host="server")
TABLE = Table(
    name="metrics",
    features=["Prometheus metrics"],
    spec={
        "mesh": {"metrics": {"format": "prometheus"}, "health": {"port": 15021}},
        "services": {
            "client": {"port": 8080, "endpoints": [{"address": "127.50.0.1"}], "calls": {"server": {}}},
            "other": {"port": 8080, "endpoints": [{"address": "127.50.0.2"}], "calls": {"server": {}}},
            "server": {
                "port": 8080,
                "endpoints": [{"address": "127.50.0.11"}],
                "deny": [{"from": ["*"], "paths": [{"prefix": "/admin"}]}],
                "retries": {"attempts": 1, "retryOn": ["gateway-error"]},
                "routes": [
                    {"name": "nice", "matches": [{"path": {"prefix": "/nice"}}]},
                    {"name": "gone", "matches": [{"path": {"prefix": "/gone"}}], "respond": {"status": 410}},
                    {"name": "rest", "matches": [{"methods": ["GET"]}]},
                ],
            },
        },
    },
    requests=[],
    callers=["client", "other"],
)


def scrape(world, instance, via="admin"):
    row = Row("a scrape", Expect(), via=via, to=instance, host="x", target="/metrics")
    with world.connection(row) as connection:
        answer = connection.ask(row)
    assert answer.status == 200
    return answer.body.decode()


@pytest.mark.parametrize("proxy", Proxy)
def test_probe(tmp_path, proxy):
    with running(TABLE, proxy, proxy, tmp_path) as world:
        with world.connection(ROW) as connection:
            for change in ({"target": "/nice/1"}, {"target": "/admin"}, {"target": "/gone"}, {"host": "nobody"}, {"target": "/x", "method": "POST"}, {"orders": {"status": "503,200"}}, {"target": "/nice", "orders": {"delay": "300"}}):
                answer = connection.ask(replace(ROW, **change))
                print(change, answer.status, answer.duration)
        time.sleep(1)
        print(scrape(world, "client/1"))
        print(scrape(world, "server/1"))
        assert 0
