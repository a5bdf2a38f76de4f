"""What lines tell of headers and queries, and which lines there are: the same on every proxy, and nothing secret."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections import Counter

from msgspec.structs import replace

from meshctl.ir import Proxy
from tests.behaviour.binomial import bounds
from tests.behaviour.log_lines import access_log, line_faults
from tests.behaviour.tables import Expect, Row, Table
from tests.behaviour.traces import LIMIT, lines_of
from tests.behaviour.world import running

CALLERS, CALLEES = [f"{each}-a" for each in Proxy], [f"{each}-b" for each in Proxy]
TOLD = ["x-request-id", "x-changed", "authorization", "x-secret"]

HEADERS: dict[tuple[tuple[str, str], ...], dict[str, str | None]] = {
    (): {},
    (("x-request-id", "a b"),): {"x-request-id": "a b"},
    (("X-Request-Id", "first"), ("x-request-id", "second")): {"x-request-id": None},
    (("x-request-id", '"}\\,{/$http_host%[src]'),): {"x-request-id": '"}\\,{/$http_host%[src]'},
    (("x-request-id", "caf\xe9 \xff\xfe"),): {"x-request-id": ""},
    (("x-request-id", ""), ("x-secret", "")): {},
    (("authorization", "Bearer s3cret"), ("x-secret", "s3cret")): {"authorization": "[redacted]", "x-secret": "[redacted]"},
    (("x-changed", "as it came"),): {"x-changed": "as it came"},
}  # fmt: skip
"""Lines of a request to what the caller's line tells, null: whatever."""

QUERIES = {"": "", "?": "", "?a=s3cret&b&=x&c=1=2&": "a&b&&c&", '?%22"\\=1?2': '%22"\\'}
"""To their names. What `keep` tells: tables/access_log_sampling.yaml."""

SAMPLED, REQUESTS = 0.2, 400
"""The share of the requests that go well which have a line, and how many each sidecar gets to see."""


TABLE = Table(
    name="access-logs",
    features=[],
    spec={
        "mesh": {
            "accessLog": {
                "headers": TOLD,
                "query": "names",
                "redact": {"headers": ["x-secret", "authorization"]},
                "sampling": f"{SAMPLED:.0%}",
            },
            "metrics": {"format": "prometheus"},
        },
        "services": {
            name: {
                "port": 8080,
                "endpoints": [{"address": f"127.50.0.{number}"}],
                "calls": {CALLEES[CALLERS.index(name)]: {}} if name in CALLERS else {},
                "routes": [{"name": "all", "requestHeaders": {"set": {"x-changed": "by a route"}}}],
            }
            for number, name in enumerate((*CALLERS, *CALLEES), start=1)
        },
    },
    requests=[],
    proxies={name: name.partition("-")[0] for name in (*CALLERS, *CALLEES)},
)


def failing(caller, callee, target, headers=()):
    """A request that has its line, whatever share of the others has."""
    return Row(
        "",
        Expect(),
        caller=caller,
        host=callee,
        target=target,
        headers=list(headers),
        orders={"status": 503},
    )


def test_a_share_of_the_lines_and_all_of_what_failed_with_headers_and_queries_as_they_came(tmp_path):
    with running(TABLE, Proxy.ENVOY, Proxy.ENVOY, tmp_path) as world:
        numbers = itertools.count()
        rows: list[tuple[Row, dict[str, str | None], str]] = []
        for caller, callee in zip(CALLERS, CALLEES, strict=True):
            for headers, told in HEADERS.items():
                rows.append((failing(caller, callee, f"/{next(numbers)}-", headers), told, ""))
            for sent, kept in QUERIES.items():
                rows.append((failing(caller, callee, f"/{next(numbers)}-{sent}"), {}, kept))
        for row, _, _ in rows:
            with world.connection(row) as connection:
                assert connection.ask(row).status == 503, row
        for row, told, query_told in rows:
            path = row.target.partition("?")[0]
            ((out,), (into,)) = (lines_of(world, each, path, 1) for each in (row.caller, str(row.host)))
            expected: dict[str, str | None] = {**dict.fromkeys(TOLD, ""), **told}
            assert {
                key: value for key, value in out["request_headers"].items() if expected[key] is not None
            } == {key: value for key, value in expected.items() if value is not None}, row
            assert (out["query"], into["query"]) == (query_told, query_told), row
            assert into["request_headers"]["x-changed"] == "by a route", row
        assert_a_share_has_lines(world)
        assert not [*line_faults(world.lines)]
        lines = [json.loads(line) for _, line in access_log(world.lines)]
        assert all(
            list(each["request_headers"]) == sorted(TOLD) or list(each["request_headers"]) == TOLD
            for each in lines
        )
        assert "s3cret" not in json.dumps(lines)


def assert_a_share_has_lines(world):
    """Of what went well, in each sidecar, while metrics count all."""
    for caller, callee in zip(CALLERS, CALLEES, strict=True):
        row = Row("", Expect(), caller=caller, host=callee, target="/well")
        with world.connection(row) as connection:
            assert {connection.ask(row).status for _ in range(REQUESTS)} == {200}
            # On a connection of which nearly nothing was said.
            connection.ask(replace(row, target="/ill", orders={"status": 503}))
        for service in (caller, callee):
            lines_of(world, service, "/ill", 1)
    deadline = time.monotonic() + LIMIT
    while [counted(world, each) for each in (*CALLERS, *CALLEES)] != [REQUESTS] * 6:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1)
    written = Counter(
        each["service"]
        for each in (json.loads(line) for _, line in access_log(world.lines))
        if each["path"] == "/well"
    )
    low, high = bounds(REQUESTS, SAMPLED)
    assert all(low <= written[each] <= high for each in (*CALLERS, *CALLEES)), written


def counted(world, service):
    """The requests answered 200 that a sidecar's metrics tell of."""
    row = Row("", Expect(), via="admin", to=f"{service}/1", host="x", target="/metrics")
    with world.connection(row) as connection:
        page = connection.ask(row).body.decode()
    return sum(map(int, re.findall(r'^mesh_requests_total{.*status="200".*} (\d+)', page, re.MULTILINE)))
