"""Spans: what a collector is told of requests, and what becomes of them without one."""

from __future__ import annotations

import contextlib

import pytest
from msgspec.structs import replace

from meshctl.ir import Proxy
from tests.behaviour import traces
from tests.behaviour.binomial import bounds
from tests.behaviour.tables import Expect, Row, Table
from tests.behaviour.world import WRITTEN_NETWORK, running
from tests.collector import collecting

PORT = 4317
TRACE = "4bf92f3577b34da6a3ce929d0e0e{:04}"
PARENT = "00f067aa0ba902b7"
ROW = Row("a request", Expect(), host="server", target="/nice/1?secret=1")


def table(sampling):
    return Table(
        name="tracing",
        features=["spans to OTLP"],
        spec={
            "mesh": {"tracing": {"otlp": f"{WRITTEN_NETWORK}249:{PORT}", "sampling": sampling}},
            "services": {
                "client": {"port": 8080, "endpoints": [{"address": "127.50.0.1"}], "calls": {"server": {}}},
                "server": {
                    "port": 8080,
                    "endpoints": [{"address": "127.50.0.11"}],
                    "calls": {"last": {}},
                    "retries": {"attempts": 1, "retryOn": ["gateway-error"]},
                    "routes": [
                        {"name": "nice", "matches": [{"path": {"prefix": "/nice"}}]},
                        {"name": "moved", "matches": [{"path": {"prefix": "/old"}}], "rewrite": {"path": {"prefix": "/new"}}},
                    ],
                },
                "last": {"port": 8080, "endpoints": [{"address": "127.50.0.21"}]},
            },
        },
        requests=[],
    )  # fmt: skip


@contextlib.contextmanager
def traced(folder, sampling, caller=Proxy.ENVOY, callee=Proxy.ENVOY):
    """The mesh and its collector, which comes after the sidecars as one does that was gone."""
    with (
        running(table(sampling), caller, callee, folder) as world,
        collecting(f"{world.places[WRITTEN_NETWORK]}249:{PORT}") as collector,
    ):
        yield world, collector


def ask(world, row, **changes):
    """One request; the answer and the traceparent that the application saw, in its four parts."""
    row = replace(row, **changes)
    with world.connection(row) as connection:
        answer = connection.ask(row)
    arrivals = world.arrivals(answer.identifier)["seen"]
    seen = [value for each in arrivals for name, value in each["headers"] if name == "traceparent"]
    return answer, [each.split("-") for each in seen]


def parent(number, flags="01"):
    return [("traceparent", f"00-{TRACE.format(number)}-{PARENT}-{flags}")]


def chain(spans, name, **attributes):
    """The one span of this name with these attributes."""
    (found,) = (each for each in spans if each.name == name and attributes.items() <= each.attributes.items())
    return found


def test_a_trace_runs_through_tries_and_hops(tmp_path):
    with traced(tmp_path, "0%") as (world, collector):
        answer, seen = ask(world, ROW, headers=parent(1), orders={"status": "503,200"})
        assert answer.status == 200
        spans = collector.of(TRACE.format(1), 5)
        assert sorted((each.service, each.name, each.kind, each.error) for each in spans) == [
            ("client", "outbound", "SERVER", False),
            ("client", "try server", "CLIENT", False),
            ("client", "try server", "CLIENT", True),
            ("server", "inbound", "SERVER", False),
            ("server", "inbound", "SERVER", True),
        ]
        first = chain(spans, "outbound")
        assert first.parent == PARENT
        wanted = {
            "url.path": "/nice/1",
            "meshctl.route": "nice",
            "http.status_code": "200",
            "http.method": "GET",
        }
        assert wanted.items() <= first.attributes.items()
        assert first.resource["service.namespace"] == "test"
        assert first.resource["service.instance.id"] == world.addresses["client/1"]
        tries = [chain(spans, "try server", **{"http.status_code": code}) for code in ("503", "200")]
        assert [each.parent for each in tries] == [first.id] * 2
        assert tries[1].attributes["retry.count"] == "1"
        arrived = [chain(spans, "inbound", **{"http.status_code": code}) for code in ("503", "200")]
        assert [each.parent for each in arrived] == [each.id for each in tries]
        assert seen == [["00", first.trace, each.id, "01"] for each in arrived]

        # What the application saw it hands on, as applications do.
        ask(world, ROW, caller="server", host="last", headers=[("traceparent", "-".join(seen[1]))])
        further = collector.of(TRACE.format(1), 8)[5:]
        second = chain(further, "outbound")
        assert (second.service, second.parent) == ("server", arrived[1].id)
        assert chain(further, "try last").parent == second.id
        assert chain(further, "inbound").parent == chain(further, "try last").id

        # No span tells a query; the path is the one that the caller asked for, and behind it what became of it.
        ask(world, ROW, target="/old/x?secret=1", headers=parent(2))
        ask(world, ROW, host="nobody", headers=parent(3))
        spans = collector.of(TRACE.format(2), 3)
        paths = {each.name: each.attributes["url.path"] for each in spans}
        assert paths == {"outbound": "/old/x", "try server": "/old/x", "inbound": "/new/x"}
        (refused,) = collector.of(TRACE.format(3), 1)
        assert (refused.name, refused.attributes["http.status_code"]) == ("outbound", "403")
        assert "secret" not in repr(collector.spans)

        # Nobody else has begun a trace, and who is told not to sample does not.
        _, seen = ask(world, ROW)
        assert [each[3] for each in seen] == ["00"]
        ask(world, ROW, headers=parent(4, flags="00"))
        ask(world, ROW, headers=parent(5))
        assert len(collector.of(TRACE.format(5), 3)) == 3
        assert {each.trace for each in collector.spans} == {TRACE.format(each) for each in (1, 2, 3, 5)}


def test_the_share_of_requests_that_begin_a_trace(tmp_path):
    with traced(tmp_path, "30%") as (world, collector):
        flags = [ask(world, replace(ROW, headers=[]))[1][0] for _ in range(100)]
        sampled = [trace for _, trace, _, flag in flags if flag == "01"]
        low, high = bounds(100, 0.3)
        assert low <= len(sampled) <= high
        assert [len(collector.of(trace, 3)) for trace in sampled] == [3] * len(sampled)
        assert {each.trace for each in collector.spans} == set(sampled)
        _, seen = ask(world, ROW, headers=parent(9, flags="00"))
        assert seen[0][3] == "00"


@pytest.mark.parametrize("caller", [Proxy.HAPROXY, Proxy.NGINX])
def test_the_parent_behind_a_sidecar_without_spans_is_in_its_log(tmp_path, caller):
    with traced(tmp_path, "0%", caller=caller) as (world, collector):
        ask(world, ROW, headers=parent(1))
        (span,) = collector.of(TRACE.format(1), 1)
        (line,) = traces.lines_of(world, "client", "/nice/1", 1)
        assert (span.service, span.name, span.parent) == ("server", "inbound", line["span_id"])
        assert line["parent_id"] == PARENT
