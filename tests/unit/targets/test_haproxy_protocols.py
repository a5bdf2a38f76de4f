"""Limits, faults, HTTP/2, server names and looked-up callees in HAProxy's words, and that machinery is only where it is needed."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import pytest
from msgspec import structs

from meshctl import ir
from tests import sidecars
from tests.sidecars import cluster, route, virtual_host
from tests.unit.targets.test_haproxy import files, lines, sections

CATALOG = cluster("catalog", ("127.34.8.2", 15006, 1))
REFRESH = timedelta(seconds=7)


def caller(*clusters, fault=None, http2=False, tcp=()):
    made = sidecars.sidecar(
        "web",
        ir.Proxy.HAPROXY,
        virtual_hosts=(virtual_host("catalog", route("rest", ("catalog", 1), fault=fault)),),
        clusters=clusters or (CATALOG,),
    )
    outbound = structs.replace(made.outbound, http2=http2)
    return structs.replace(made, outbound=outbound, tcp=tcp)


def callee(**changes):
    made = sidecars.sidecar("catalog", ir.Proxy.HAPROXY, callers=("web",))
    assert made.inbound is not None
    return structs.replace(made, inbound=structs.replace(made.inbound, **changes))


def limited(requests, per, burst, *, by_caller):
    return callee(rate_limit=ir.RateLimit(requests, per, burst, by_caller))


@pytest.mark.parametrize(
    ("limit", "sample", "retry_after"),
    [
        ((5000, timedelta(seconds=1), 9), "lua.admitted(5000,1000000,9)", "1"),
        ((1, timedelta(hours=1), 2), "lua.admitted(1,3600000000,2)", "3600"),
        ((3, timedelta(seconds=10), 1), "lua.admitted(3,10000000,1)", "4"),
    ],
)
def test_a_limit_is_asked_after_authorization(limit, sample, retry_after):
    inbound = sections(limited(*limit, by_caller=False))["frontend inbound"]
    refused, asked = (
        next(n for n, line in enumerate(inbound) if status in line) for status in ("403", "429")
    )
    assert refused < asked
    assert inbound[asked][4:7] == ["hdr", "retry-after", retry_after]
    # Not `if`: a script that fails gives no answer, and who gets none is refused.
    assert inbound[asked][7] == "unless"
    assert inbound[asked][-5:] == ["{", sample, "-m", "bool", "}"]


def test_callers_are_told_apart_by_their_whole_identity():
    (line,) = [line for line in lines(limited(1, timedelta(seconds=1), 1, by_caller=True)) if "429" in line]
    assert "lua.admitted(1,1000000,1,sess.subject)" in line


def test_who_is_exempt_takes_no_token():
    rule = ir.AuthorizationRule((sidecars.identity("web"),), methods=("GET",))
    allowed = ir.AuthorizationRule((sidecars.identity("web"),))
    authorization = ir.Authorization(ir.AuthorizationMode.DECLARED, (allowed,), exempt=(rule,))
    limit = ir.RateLimit(1, timedelta(seconds=1), 1, by_caller=False)
    inbound = sections(callee(rate_limit=limit, authorization=authorization))["frontend inbound"]
    verdicts = [line[2] for line in inbound if line[1].startswith("set-var(txn.verdict")]
    assert verdicts == ["str(exempt)", "str(allowed)"]
    plain = sections(callee(authorization=authorization))["frontend inbound"]
    assert ["acl", "allowed", "var(txn.verdict)", "-m", "str", "--", "allowed"] in plain


def test_an_abort_draws_in_its_exact_share_and_a_delay_stands_behind_the_listener():
    abort = ir.Abort(418, Fraction(1, 10000))
    (line,) = [line for line in lines(caller(fault=ir.Fault(abort=abort))) if "418" in line]
    assert line[-5:] == ["{", "rand(10000)", "lt", "1", "}"]
    both = sections(caller(fault=ir.Fault(ir.Delay(timedelta(seconds=2), Fraction(1)), abort)))
    assert not [line for line in both["frontend outbound"] if "418" in line or "lua.delay" in line]
    first = [line[1] for line in both["backend catalog:1"]]
    assert first[:5] == ["log", "wait-for-body", "lua.delay", "reject", "return"]


def test_what_nobody_asks_for_is_not_there():
    assert [name for name in files(caller()) if name.endswith(".lua")] == []
    assert not [line for line in lines(caller()) if "h2" in line or "grpc-status" in line]


@pytest.mark.parametrize("protocol", [ir.Protocol.HTTP2, ir.Protocol.GRPC])
def test_http2_is_spoken_on_the_hop_and_with_the_application(protocol):
    spoken = structs.replace(CATALOG, protocol=protocol)
    (offered,) = [line for line in lines(caller(spoken, http2=True)) if line[0] == "default-server"]
    assert offered[offered.index("alpn") :][:4] == ["alpn", "h2", "proto", "h2"]
    application = sections(callee(protocol=protocol))["backend application"]
    assert [line[3:5] for line in application if line[:2] == ["server", "application"]] == [["proto", "h2"]]
    reuse = [line[1] for line in application if line[0] == "http-reuse"]
    assert reuse[-1] == "aggressive"


def test_server_names_are_told_apart_the_longest_wildcard_first():
    outside = [
        structs.replace(cluster(name, ("127.34.8.3", 443, 1)), identity=None, origin=ir.Origin(None))
        for name in ("a", "b")
    ]
    listener = ir.TcpListener(
        (ir.SocketAddress("127.0.0.1", 17001),),
        "",
        "",
        (ir.SniRoute(("*.example", "b.example"), "a", "a"), ir.SniRoute(("*.x.example",), "b", "b")),
    )
    made = sections(caller(CATALOG, *outside, tcp=(listener,)))
    front = made["frontend tls:17001 from streams"]
    chosen = [
        (line[3], line[-2])
        for line in front
        if line[:2] == ["tcp-request", "content"] and "ifnotset" in line[2]
    ]
    assert chosen == [
        ("str(a:tls)", "b.example"),
        ("str(b:tls)", r".\.x\.example$"),
        ("str(a:tls)", r".\.example$"),
    ]
    assert ["tcp-request", "content", "reject", "unless"] in [line[:4] for line in front]


@pytest.mark.parametrize("protocol", [ir.Protocol.HTTP, ir.Protocol.HTTP2])
def test_a_callee_that_is_looked_up_keeps_no_connection(protocol):
    found = structs.replace(
        CATALOG, endpoints=(), protocol=protocol, dns=ir.DnsName("catalog.internal", 15006, REFRESH)
    )
    made = sections(caller(found))
    assert ["hold", "nx", "1ms"] in made["resolvers names.7000ms"]
    (backend,) = [lines for heading, lines in made.items() if heading == "backend catalog:1"]
    assert ["option", "http-server-close"] in backend
    assert ["http-reuse", "never"] in backend
    (spoken,) = [line for line in backend if line[0] == "default-server"]
    assert ("max-reuse" in spoken) is (protocol is ir.Protocol.HTTP2)
