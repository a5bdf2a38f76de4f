"""Metrics: known traffic, and what a scrape says of it, on every proxy under the same names."""

from __future__ import annotations

import threading
import time

import pytest
from cryptography import x509
from msgspec.structs import replace
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
                "outlierDetection": {"consecutiveErrors": 100},
                "deny": [{"from": ["*"], "paths": [{"prefix": "/admin"}]}],
                "timeout": "2s",
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


BOUNDS = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, float("inf")]
DURATION = "mesh_request_duration_milliseconds"
LIMIT = 10
"""Seconds until a count has arrived; HAProxy reads its log, and Envoy's histograms are as of the last second."""


class Page:
    """What a scrape says: every sample by its name and its labels."""

    def __init__(self, text):
        self.types: dict[str, str] = {}
        self.samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        for family in text_string_to_metric_families(text):
            self.types[family.name] = family.type
            for each in family.samples:
                key = (each.name, frozenset(each.labels.items()))
                assert key not in self.samples, key
                self.samples[key] = each.value

    def value(self, name, **labels):
        return self.samples.get((name, frozenset(labels.items())))

    def requests(self):
        """(direction, caller, callee, route, status) to how many."""
        return {
            tuple(
                dict(labels).get(each, "") for each in ("direction", "caller", "callee", "route", "status")
            ): number
            for (name, labels), number in self.samples.items()
            if name == "mesh_requests_total"
        }


def scrape(world, instance, via="admin"):
    row = Row("a scrape", Expect(), via=via, to=instance, host="x", target="/metrics")
    with world.connection(row) as connection:
        answer = connection.ask(row)
    assert answer.status == 200
    assert answer.values("content-type")[0].startswith("text/plain")
    return Page(answer.body.decode())


def await_requests(world, instance, expected):
    """The first page that has these counts, or the last one there was time for."""
    until = time.monotonic() + LIMIT
    while True:
        page = scrape(world, instance)
        durations = sum(number for (name, _), number in page.samples.items() if name == f"{DURATION}_count")
        if (page.requests() == expected and durations == sum(expected.values())) or time.monotonic() > until:
            return page
        time.sleep(0.1)


def send(world, *rows):
    for row in rows:
        with world.connection(row) as connection:
            for _ in range(row.times):
                connection.ask(row)


def traffic(world):
    """Known requests: what is answered 200, 403, 404, 410 and 503, one that is tried again and one that is slow."""
    nice = replace(ROW, target="/nice/1")
    send(
        world,
        replace(nice, times=5),
        replace(nice, caller="other", times=2),
        replace(nice, target="/nice?secret=1", orders={"delay": "300ms"}),
        replace(ROW, target="/admin/x", times=3),
        replace(ROW, target="/gone"),
        replace(ROW, host="nobody", times=2),
        replace(ROW, method="POST"),
        replace(ROW, orders={"status": "503,200"}),
        replace(ROW, orders={"status": "503,503"}),
    )


def histogram(page, **labels):
    """Upper bound to how many requests took no longer, of one histogram."""
    return {
        float(dict(found)["le"]): number
        for (name, found), number in page.samples.items()
        if name == f"{DURATION}_bucket" and labels.items() <= dict(found).items()
    }


@pytest.mark.parametrize("proxy", Proxy)
def test_what_is_counted(tmp_path, proxy):
    with running(TABLE, proxy, proxy, tmp_path) as world:
        traffic(world)
        of_client, to_server = ("outbound", "client", "server"), ("inbound", "client", "server", "")
        wanted = {
            "client/1": {
                (*of_client, "nice", "200"): 6,
                (*of_client, "rest", "403"): 3,
                (*of_client, "gone", "410"): 1,
                ("outbound", "client", "", "", "403"): 2,
                (*of_client, "", "404"): 1,
                (*of_client, "rest", "200"): 1,
                (*of_client, "rest", "503"): 1,
            },
            "other/1": {("outbound", "other", "server", "nice", "200"): 2},
            "server/1": {
                (*to_server, "200"): 7,
                (*to_server, "403"): 3,
                (*to_server, "503"): 3,
                ("inbound", "other", "server", "", "200"): 2,
            },
        }
        pages = {}
        for instance, expected in wanted.items():
            pages[instance] = page = await_requests(world, instance, expected)
            assert page.requests() == expected
            own = {"mesh": "test", "service": instance.partition("/")[0]}
            assert all(own.items() <= dict(labels).items() for _, labels in page.samples)
            assert page.types == {
                "mesh_requests": "counter",
                DURATION: "histogram",
                "mesh_requests_active": "gauge",
                "mesh_certificate_expiry_timestamp_seconds": "gauge",
                "mesh_build_info": "gauge",
                **({"mesh_endpoints_ejected": "gauge"} if instance != "server/1" else {}),
            }
            assert scrape(world, instance, via="health").requests() == expected
        for direction, instance, route in (("outbound", "client/1", "nice"), ("inbound", "server/1", "")):
            own = {"mesh": "test", "service": instance.partition("/")[0], "direction": direction}
            labels = own | {"caller": "client", "callee": "server", "route": route}
            count = pages[instance].value(f"{DURATION}_count", **labels)
            found = histogram(pages[instance], **labels)
            assert list(found) == BOUNDS
            assert list(found.values()) == sorted(found.values())
            assert found[250] < found[float("inf")] == count
            assert 285 <= pages[instance].value(f"{DURATION}_sum", **labels) < 10_000
        check_active(world)


def check_active(world):
    """One request under way is one on either side, and none when it has ended."""

    def active(instance, direction):
        service = instance.partition("/")[0]
        page = scrape(world, instance)
        return page.value("mesh_requests_active", mesh="test", service=service, direction=direction)

    def counted():
        return active("client/1", "outbound"), active("server/1", "inbound")

    def await_counted(expected):
        until = time.monotonic() + LIMIT
        while counted() != expected and time.monotonic() < until:
            time.sleep(0.05)
        assert counted() == expected

    slow = threading.Thread(
        target=send, args=(world, replace(ROW, target="/nice", orders={"delay": "1500ms"}))
    )
    slow.start()
    await_counted((1, 1))
    slow.join()
    await_counted((0, 0))


FRAIL = Table(
    name="ejections",
    features=["Prometheus metrics"],
    spec={
        "mesh": {"metrics": {"format": "prometheus"}},
        "services": {
            "client": {"port": 8080, "endpoints": [{"address": "127.50.0.1"}], "calls": {"server": {}}},
            "server": {
                "port": 8080,
                "endpoints": [
                    {"address": "127.50.0.11", "subset": "v-1"},
                    {"address": "127.50.0.12", "subset": "v-1"},
                    {"address": "127.50.0.13", "subset": "v-2"},
                ],
                "outlierDetection": {"consecutiveErrors": 1, "baseEjectionTime": "1s", "interval": "500ms"},
                "routes": [
                    {
                        "name": "first",
                        "matches": [{"path": {"prefix": "/first"}}],
                        "backends": [{"subset": "v-1"}],
                    },
                    {"name": "rest", "backends": [{"subset": "v-2"}]},
                ],
            },
        },
    },
    requests=[],
)


@pytest.mark.parametrize("proxy", Proxy)
def test_what_a_sidecar_tells_of_itself(tmp_path, proxy):
    """Its build, the end of the certificate in its folder by another reader, and who is ejected, until it is over."""
    with running(FRAIL, proxy, proxy, tmp_path) as world:
        sidecar = world.sidecar("client/1")
        own = {"mesh": "test", "service": "client"}

        def ejected():
            page = scrape(world, "client/1")
            return {
                dict(labels)["subset"]: number
                for (name, labels), number in page.samples.items()
                if name == "mesh_endpoints_ejected" and own.items() <= dict(labels).items()
            }

        def await_ejected(expected):
            until = time.monotonic() + LIMIT
            while ejected() != expected and time.monotonic() < until:
                time.sleep(0.1)
            assert ejected() == expected

        page = scrape(world, "client/1")
        assert page.value("mesh_build_info", **own, build=sidecar.build) == 1
        leaf = x509.load_pem_x509_certificate((world.folder(sidecar) / "tls" / "cert.pem").read_bytes())
        expiry = page.value("mesh_certificate_expiry_timestamp_seconds", **own)
        assert expiry == leaf.not_valid_after_utc.timestamp()
        await_ejected({"v-1": 0, "v-2": 0})
        send(world, replace(ROW, target="/first", orders={"status": "503"}))
        await_ejected({"v-1": 1, "v-2": 0})
        await_ejected({"v-1": 0, "v-2": 0})
