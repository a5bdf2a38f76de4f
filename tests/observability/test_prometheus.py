"""A Prometheus of Debian's, on what `meshctl observe` wrote, over a running mesh of all three proxies."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import threading
import time
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from meshctl import ir, pipeline
from meshctl.pipeline import rehearsal
from tests.turns import turn

SPEC = """
apiVersion: meshctl.dev/v1
mesh:
  {name: trio, domain: trio.mesh, trustDomain: trio.example, bind: endpoint, metrics: {format: prometheus}, health: {port: 15021}}
services:
  on-envoy:
    proxy: envoy
    port: 8080
    endpoints: [{address: 127.71.1.1, zone: a}]
    calls: {on-haproxy: {}}
    slo: {availability: 99.9%, latency: {p50: 250ms}}
  on-haproxy:
    proxy: haproxy
    port: 8080
    endpoints: [{address: 127.71.1.2, zone: b}]
    calls: {on-nginx: {}}
    slo: {availability: 99.9%, latency: {p50: 250ms}}
  on-nginx:
    proxy: nginx
    port: 8080
    endpoints: [{address: 127.71.1.3}]
    calls: {on-envoy: {}}
    slo: {availability: 99.9%, latency: {p50: 250ms}}
"""
CALLS = {"127.71.1.1": "on-haproxy", "127.71.1.2": "on-nginx", "127.71.1.3": "on-envoy"}
"""By the caller's address, whom it calls: each proxy counts what it sends, and what it gets."""
PROMETHEUS = ("127.71.0.9", 9090)
LIMIT = 20

EVERY = 0.05
"""Seconds between two requests of a caller: 20 a second."""

SECONDS = 5
"""How long that lasts; questions are about the last four."""


class Prometheus:
    """What it answers."""

    def get(self, path):
        connection = http.client.HTTPConnection(*PROMETHEUS, timeout=LIMIT)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def ask(self, path):
        status, body = self.get(path)
        assert status == 200, body
        return json.loads(body)["data"]

    def value(self, query):
        """By `callee`, or by `service` where there is none."""
        found = self.ask(f"/api/v1/query?query={quote(query)}")["result"]
        return {
            each["metric"].get("callee") or each["metric"]["service"]: float(each["value"][1])
            for each in found
        }


@contextlib.contextmanager
def prometheus(folder):
    arguments = ["--config.file=prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    where = f"--web.listen-address={PROMETHEUS[0]}:{PROMETHEUS[1]}"
    with (
        (folder / "prometheus.log").open("wb") as log,
        subprocess.Popen(["prometheus", *arguments, where], cwd=folder, stdout=log, stderr=log) as process,
    ):
        try:
            its = Prometheus()
            await_true(lambda: ready(its), (folder / "prometheus.log").read_text)
            yield its
        finally:
            process.terminate()
            process.wait(LIMIT)


def ready(its):
    try:
        return its.get("/-/ready")[0] == 200
    except OSError:
        return False


def await_true(question, told=lambda: "not in time"):
    until = time.monotonic() + LIMIT
    while not question():
        assert time.monotonic() < until, told()
        time.sleep(0.1)


def request(address, callee, **orders):
    connection = http.client.HTTPConnection(address, 15001, timeout=LIMIT)
    with contextlib.closing(connection):
        headers = {f"x-echo-{name}": value for name, value in orders.items()}
        connection.request("GET", "/", headers={"Host": callee, **headers})
        answer = connection.getresponse()
        answer.read()
        return answer.status


def traffic(address, callee):
    """Of ten requests two are answered 503, and one takes 300 ms."""
    threads = []
    begin = time.monotonic()
    for number in range(int(SECONDS / EVERY)):
        time.sleep(max(0, begin + number * EVERY - time.monotonic()))
        orders = {3: {"status": "503"}, 6: {"delay": "300ms"}, 8: {"status": "503"}}.get(number % 10, {})
        threads.append(threading.Thread(target=request, args=(address, callee), kwargs=orders))
        threads[-1].start()
    for each in threads:
        each.join()


def each_caller(target, *arguments):
    threads = [threading.Thread(target=target, args=(*each, *arguments)) for each in CALLS.items()]
    for each in threads:
        each.start()
    return threads


def hasten(folder):
    """Four scrapes a second, where the file says four a minute."""
    path = folder / "prometheus.yml"
    text = path.read_text()
    for key, seconds in (
        ("scrape_interval", "15s"),
        ("scrape_timeout", "10s"),
        ("evaluation_interval", "15s"),
    ):
        assert f"{key}: {seconds}\n" in text
        text = text.replace(f"{key}: {seconds}\n", f"{key}: 250ms\n")
    path.write_text(text)


@pytest.fixture
def watched(tmp_path, monkeypatch):
    # Not that of `meshctl up`, for whose turn others wait.
    monkeypatch.setattr(rehearsal, "CONTROL", ir.SocketAddress("127.71.0.1", 8080))
    spec = tmp_path / "mesh.yaml"
    spec.write_text(SPEC)
    validated = pipeline.validate(str(spec))
    artifacts, unreachable = pipeline.observe(validated)
    assert unreachable == ()
    pipeline.write_observability(validated, artifacts, tmp_path / "prometheus")
    hasten(tmp_path / "prometheus")
    lines: list[object] = []
    with (
        turn("observability"),
        pipeline.up(
            validated,
            tmp_path / "up",
            now=datetime.now(UTC),
            sink=lambda *line: lines.append(line),
            with_applications=True,
        ),
        prometheus(tmp_path / "prometheus") as its,
    ):
        yield its


def test_the_same_questions_have_the_right_answer_on_every_proxy(watched):
    # A counter is known to Prometheus from its first scrape on: one request of each kind before.
    for address, callee in CALLS.items():
        assert request(address, callee) == 200
        assert request(address, callee, status="503") == 503
    known = 'count by (callee) (mesh_requests_total{direction="outbound"})'
    await_true(lambda: watched.value(known) == dict.fromkeys(CALLS.values(), 2.0))

    for each in each_caller(traffic):
        each.join()
    check_signals(watched)
    check_saturation(watched)
    check_targets_and_rules(watched)


def check_signals(watched):
    own = 'direction="outbound"'
    rate = watched.value(f"sum by (callee) (rate(mesh_requests_total{{{own}}}[4s]))")
    failed = f'sum by (callee) (rate(mesh_requests_total{{{own},status=~"5.."}}[4s]))'
    errors = watched.value(f"{failed} / sum by (callee) (rate(mesh_requests_total{{{own}}}[4s]))")
    arrived = watched.value('sum by (service) (rate(mesh_requests_total{direction="inbound"}[4s]))')
    buckets = f"sum by (callee, le) (rate(mesh_request_duration_milliseconds_bucket{{{own}}}[4s]))"
    p99 = watched.value(f"histogram_quantile(0.99, {buckets})")
    p50 = watched.value(f"histogram_quantile(0.5, {buckets})")
    busy = watched.value(
        f"sum by (callee) (rate(mesh_request_duration_milliseconds_sum{{{own}}}[4s])) / 1000"
    )
    for callee in CALLS.values():
        assert 17 < rate[callee] < 23
        assert 17 < arrived[callee] < 23
        assert 0.15 < errors[callee] < 0.25
        # One of ten takes 300 ms, so nine tenths are far below, and the slowest hundredth is in the bucket from 250 to 500.
        assert p50[callee] < 100
        assert 250 < p99[callee] <= 500
        # Two a second of 300 ms each, and what the others take.
        assert 0.5 < busy[callee] < 1.5


def check_saturation(watched):
    """What is under way is counted while it is, on both sides."""
    slow = [each for _ in range(3) for each in each_caller(lambda *to: request(*to, delay="1500ms"))]
    for direction in ("outbound", "inbound"):
        question = f'sum by (service) (mesh_requests_active{{direction="{direction}"}})'
        await_true(
            lambda question=question: watched.value(question) == dict.fromkeys(CALLS.values(), 3.0),
            lambda question=question: str(watched.value(question)),
        )
    for each in slow:
        each.join()


def check_targets_and_rules(watched):
    targets = watched.ask("/api/v1/targets")["activeTargets"]
    assert {each["labels"]["service"]: each["health"] for each in targets} == dict.fromkeys(
        CALLS.values(), "up"
    )
    assert {each["labels"].get("zone") for each in targets} == {"a", "b", None}
    rules = [each for group in watched.ask("/api/v1/rules")["groups"] for each in group["rules"]]
    assert rules
    assert [(each["name"], each["lastError"]) for each in rules if each["health"] != "ok"] == []
    # A fifth of the requests fail, which is 200 times what is promised; nine of ten are as fast as promised.
    recorded = watched.value('slo:error_ratio:rate5m{slo="availability"}')
    assert recorded.keys() == set(CALLS.values())
    assert all(0.1 < each < 0.3 for each in recorded.values())
    firing = {
        (each["name"], alert["labels"].get("callee"))
        for each in rules
        for alert in each.get("alerts", ())
        if alert["state"] == "firing"
    }
    burning = {("MeshErrorBudgetBurnsFast", each) for each in CALLS.values()}
    assert firing == burning | {("MeshErrorBudgetBurns", each) for each in CALLS.values()}
