"""What lines tell of headers and queries, where the spec asks for it: the same on every proxy, and nothing secret."""

from __future__ import annotations

import itertools
import json

from meshctl.ir import Proxy
from tests.behaviour.log_lines import access_log, line_faults
from tests.behaviour.tables import Expect, Row, Table
from tests.behaviour.traces import lines_of
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

QUERIES = {
    "": ("", ""),
    "?": ("", ""),
    "?a=s3cret&b&=x&c=1=2&": ("a=s3cret&b&=x&c=1=2&", "a&b&&c&"),
    '?%22"\\=1?2': ('%22"\\=1?2', '%22"\\'),
}


def table(query):
    return Table(
        name="access-logs",
        features=[],
        spec={
            "mesh": {
                "accessLog": {
                    "headers": TOLD,
                    "query": query,
                    "redact": {"headers": ["x-secret", "authorization"]},
                }
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


def test_headers_and_queries_stand_in_lines_as_they_came(tmp_path):
    numbers = itertools.count()
    for query in ("keep", "names"):
        with running(table(query), Proxy.ENVOY, Proxy.ENVOY, tmp_path / query) as world:
            rows: list[tuple[Row, dict[str, str | None], str]] = []
            for caller, callee in zip(CALLERS, CALLEES, strict=True):
                for headers, told in HEADERS.items():
                    rows.append(
                        (
                            Row(
                                "",
                                Expect(),
                                caller=caller,
                                host=callee,
                                target=f"/{next(numbers)}-",
                                headers=list(headers),
                            ),
                            told,
                            "",
                        )
                    )
                for sent, kept in QUERIES.items():
                    row = Row("", Expect(), caller=caller, host=callee, target=f"/{next(numbers)}-{sent}")
                    rows.append((row, {}, kept[query == "names"]))
            for row, _, _ in rows:
                with world.connection(row) as connection:
                    assert connection.ask(row).status == 200, row
            for row, told, query_told in rows:
                path = row.target.partition("?")[0]
                ((out,), (into,)) = (lines_of(world, each, path, 1) for each in (row.caller, str(row.host)))
                expected: dict[str, str | None] = {**dict.fromkeys(TOLD, ""), **told}
                assert {
                    key: value for key, value in out["request_headers"].items() if expected[key] is not None
                } == {key: value for key, value in expected.items() if value is not None}, row
                assert (out["query"], into["query"]) == (query_told, query_told), row
                assert into["request_headers"]["x-changed"] == "by a route", row
            assert not [*line_faults(world.lines)]
            lines = [json.loads(line) for _, line in access_log(world.lines)]
            assert all(
                list(each["request_headers"]) == sorted(TOLD) or list(each["request_headers"]) == TOLD
                for each in lines
            )
            assert query == "keep" or "s3cret" not in json.dumps(lines)
