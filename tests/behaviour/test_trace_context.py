"""W3C Trace Context over all pairs of proxies, and what the access logs tell of it."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from msgspec.structs import replace

from meshctl.ir import Proxy
from tests.behaviour.binomial import bounds
from tests.behaviour.log_lines import line_faults
from tests.behaviour.tables import Expect, Row, Table
from tests.behaviour.traces import lines_of, seen
from tests.behaviour.world import WRITTEN_NETWORK, running

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
VALID = f"00-{TRACE}-{PARENT}"
FIRST, SECOND = [f"{each}-a" for each in Proxy], [f"{each}-b" for each in Proxy]
CHAIN = ["envoy-a", "haproxy-a", "nginx-a", "envoy-b"]
SHARE = 0.3

INVALID = {
    "another version": [f"01-{TRACE}-{PARENT}-01"],
    "version ff": [f"ff-{TRACE}-{PARENT}-01"],
    "more behind it": [f"{VALID}-01-x"],
    "capitals": [f"00-{TRACE.upper()}-{PARENT}-01"],
    "a parent in capitals": [f"00-{TRACE}-{PARENT.upper()}-01"],
    "a trace of zeros": [f"00-{'0' * 32}-{PARENT}-01"],
    "a parent of zeros": [f"00-{TRACE}-{'0' * 16}-01"],
    "no flags": [VALID],
    "too short": [f"00-{TRACE[1:]}-{PARENT}-01"],
    "two": [f"{VALID}-01", f"00-{TRACE[::-1]}-{PARENT}-01"],
    "the same twice": [f"{VALID}-01", f"{VALID}-01"],
    "two in one": [f"{VALID}-01,{VALID}-01"],
    "junk": ['\\"}{\xff\xe4%[env(HOME)]$http_host'],
    "nothing": [""],
}  # fmt: skip

_targets = (f"/{number}" for number in itertools.count())


def table(**mesh):
    calls: dict[str, dict[str, dict[str, str]]] = {name: {each: {} for each in SECOND} for name in FIRST}
    for name, following in itertools.pairwise(CHAIN):
        calls.setdefault(name, {})[following] = {}
    names = [*FIRST, *SECOND]
    return Table(
        name="trace-context",
        features=["spans to OTLP"],
        spec={
            "mesh": mesh,
            "services": {
                name: {
                    "port": 8080,
                    "endpoints": [{"address": f"127.50.0.{number}"}],
                    "calls": calls.get(name, {}),
                    "retries": {"attempts": 1, "retryOn": ["gateway-error"]},
                }
                for number, name in enumerate(names, start=1)
            },
        },
        requests=[],
        proxies={name: name.partition("-")[0] for name in names},
    )


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    tracing = {"otlp": f"{WRITTEN_NETWORK}249:4317", "sampling": f"{SHARE:.0%}"}
    with started(tmp_path_factory, tracing=tracing) as world:
        yield world


@pytest.fixture(scope="module")
def untraced(tmp_path_factory):
    with started(tmp_path_factory) as world:
        yield world


@contextlib.contextmanager
def started(folders, **mesh):
    with running(table(**mesh), Proxy.ENVOY, Proxy.ENVOY, folders.mktemp("mesh")) as world:
        yield world
        assert not [*line_faults(world.lines)]


def ask(world, caller, callee, headers, **changes):
    """One request: its path, and what the application saw of each header of a trace."""
    row = Row("", Expect(), caller=caller, host=callee, target=next(_targets), headers=headers)
    row = replace(row, **changes)
    with world.connection(row) as connection:
        answer = connection.ask(row)
    assert answer.status == 200, (caller, callee, headers, answer)
    return (
        row.target,
        seen(world, answer.identifier, "traceparent"),
        seen(world, answer.identifier, "tracestate"),
    )


def chained(world, path, caller, callee):
    """The ids of the caller's and the callee's line, each its trace, span and parent."""
    ((out,), (into,)) = (lines_of(world, each, path, 1) for each in (caller, callee))
    assert (out["direction"], into["direction"]) == ("outbound", "inbound")
    return [(each["trace_id"], each["span_id"], each["parent_id"]) for each in (out, into)]


PAIRS = [*itertools.product(FIRST, SECOND)]
ALIKE = [*zip(FIRST, SECOND, strict=True)]


# Envoy writes its lines twice a second: everybody asks first, and the lines are looked for afterwards.
def test_a_trace_begins_goes_on_and_begins_anew_in_all_pairs(traced):
    expected = {"": None, f"{VALID}-01": "01", f"{VALID}-00": "00", f"{VALID}-0b": "01", f"{VALID}-fe": "00"}
    states = [("tracestate", "vendor=x"), ("tracestate", "other=y")]
    asked = [
        (pair, flags, ask(traced, *pair, [("traceparent", header), *states] if header else []))
        for pair in PAIRS
        for header, flags in expected.items()
    ]
    for pair, flags, (path, (arrived,), kept) in asked:
        (trace, span, parent), (same, last, before) = chained(traced, path, *pair)
        assert (same, before) == (trace, span), pair
        assert len({span, last, PARENT}) == 3
        assert arrived[:-2] == f"00-{trace}-{last}-"
        if flags is None:
            assert (parent, trace != TRACE) == ("", True), pair
            assert arrived[-2:] in ("00", "01")
        else:
            assert (trace, parent, arrived[-2:]) == (TRACE, PARENT, flags), pair
            assert ",".join(kept).replace(" ", "") == "vendor=x,other=y", pair


def test_what_is_no_trace_is_not_taken_for_one(traced):
    asked = [
        (
            pair,
            name,
            ask(traced, *pair, [*(("traceparent", each) for each in values), ("tracestate", "vendor=x")]),
        )
        for pair in ALIKE
        for name, values in INVALID.items()
    ]
    for pair, name, (path, (arrived,), states) in asked:
        (trace, span, parent), (same, last, before) = chained(traced, path, *pair)
        assert (same, before, parent) == (trace, span, ""), (pair, name)
        assert trace not in (TRACE, TRACE[::-1], "0" * 32), (pair, name)
        assert arrived[:-2] == f"00-{trace}-{last}-", (pair, name)
        assert not any(states), (pair, name)


def test_tries_are_of_one_trace(traced):
    asked = [(caller, ask(traced, caller, "nginx-b", [], orders={"status": "503,200"})) for caller in FIRST]
    for caller, (path, parents, _) in asked:
        (out,) = lines_of(traced, caller, path, 1)
        tries = lines_of(traced, "nginx-b", path, 2)
        assert {out["trace_id"]} == {each["trace_id"] for each in tries}
        assert [each["span_id"] for each in tries] == [each.split("-")[2] for each in parents]
        # Envoy makes a span for each try, and tells the last; to the others they are all one.
        assert tries[1]["parent_id"] == out["span_id"]
        assert (tries[0]["parent_id"] == out["span_id"]) is not caller.startswith("envoy")


def test_an_answer_of_its_own_is_a_span_too(traced):
    headers = [("traceparent", f"{VALID}-01")]
    rows = [
        Row("", Expect(), caller=each, host="nobody", target=next(_targets), headers=headers)
        for each in FIRST
    ]
    for row in rows:
        with traced.connection(row) as connection:
            assert connection.ask(row).status == 403
    for row in rows:
        (line,) = lines_of(traced, row.caller, row.target, 1)
        assert (line["trace_id"], line["parent_id"]) == (TRACE, PARENT), row.caller
        assert len({line["span_id"], PARENT, ""}) == 3


@pytest.mark.parametrize("caller", FIRST)
def test_the_share_of_traces_that_are_sampled(traced, caller):
    flags = [ask(traced, caller, "envoy-b", [])[1][0][-2:] for _ in range(60)]
    low, high = bounds(60, SHARE)
    assert low <= flags.count("01") <= high
    assert flags.count("01") + flags.count("00") == 60


def test_a_chain_of_four_can_be_read_from_the_logs(traced):
    """Each application hands on what it saw, as applications do."""
    headers: list[tuple[str, str]] = []
    paths: list[str] = []
    for caller, callee in itertools.pairwise(CHAIN):
        path, (arrived,), states = ask(traced, caller, callee, headers)
        headers = [("traceparent", arrived), *(("tracestate", each) for each in states)]
        paths.append(path)
    lines = [
        line
        for path, pair in zip(paths, itertools.pairwise(CHAIN), strict=True)
        for service in pair
        for line in lines_of(traced, service, path, 1)
    ]
    assert [each["service"] for each in lines] == [
        name for pair in itertools.pairwise(CHAIN) for name in pair
    ]
    assert len({each["trace_id"] for each in lines}) == 1
    assert [each["parent_id"] for each in lines] == ["", *(each["span_id"] for each in lines[:-1])]
    assert len({each["span_id"] for each in lines}) == 6


def test_without_tracing_a_trace_only_passes(untraced):
    headers = {"a trace": [f"{VALID}-03"], "none": []} | INVALID
    asked = [
        (
            pair,
            name,
            values,
            ask(untraced, *pair, [*(("traceparent", each) for each in values), ("tracestate", "x=y")]),
        )
        for pair in ALIKE
        for name, values in headers.items()
    ]
    for pair, name, values, (path, parents, states) in asked:
        assert (parents, states) == (values, ["x=y"]), (pair, name)
        # NGINX sees the first line of two.
        known = name == "a trace" or (len(values) == 2 and pair[0].startswith("nginx"))
        expected = (TRACE, "", PARENT) if known else ("", "", "")
        assert chained(untraced, path, *pair) == [expected] * 2, (pair, name)
