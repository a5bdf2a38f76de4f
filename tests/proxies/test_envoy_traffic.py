"""What two Envoy sidecars do with real requests, real certificates and real applications."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import json
import os
import pathlib
import ssl
import time
from datetime import timedelta

import pytest
from msgspec import structs
from ruamel.yaml import YAML

from meshctl import ir
from meshctl.ir.access_logs import ACCESS_LOG_FIELDS
from meshctl.targets.envoy.conflicts import METHODS
from tests import sidecars
from tests.proxies import envoy_fixtures as fixtures
from tests.proxies.envoy_fixtures import App, Authority, Client, Running, ask
from tests.sidecars import WRITTEN, cluster, route, virtual_host

# Whoever runs this file on the same machine at the same time has another network.
NETWORK = f"127.41.{os.getpid() % 250 + 1}"
WEB, ONE, TWO, DEAD, STOCK, CLOSED, NOBODY = (f"{NETWORK}.{number}" for number in range(1, 8))
PLACES = {"one": ONE, "two": TWO}
"""Test ids must be the same in every worker, so they name no addresses."""
# One mesh serves the whole file.
pytestmark = pytest.mark.xdist_group("envoy-traffic")

VECTORS = pathlib.Path(__file__).parents[1] / "vectors" / "paths.yaml"
CONNECT, GATEWAY = ir.RetryCondition.CONNECT_FAILURE, ir.RetryCondition.GATEWAY_ERROR


def prefix(path, methods=(), *headers):
    pairs = tuple(ir.HeaderMatch(name, value) for name, value in headers)
    return ir.RouteMatch(ir.PathMatch(ir.PathMatchKind.PREFIX, path), methods, pairs)


def exact(path):
    return ir.RouteMatch(ir.PathMatch(ir.PathMatchKind.EXACT, path), (), ())


def retrying(attempts, *conditions):
    return ir.RetryPolicy(attempts, conditions, sidecars.IDEMPOTENT, at=WRITTEN)


def written(**duration):
    return ir.Timeout(timedelta(**duration), WRITTEN)


def limited(name, connections, requests):
    breaker = ir.CircuitBreaker(max_connections=connections, max_requests=requests)
    return structs.replace(cluster(name, (ONE, 15006, 1)), circuit_breaker=breaker)


CLUSTERS = (
    cluster("catalog", (ONE, 15006, 1), (TWO, 15006, 1)),
    cluster("catalog.one", (ONE, 15006, 1)),
    cluster("catalog.two", (TWO, 15006, 1)),
    cluster("catalog.weighted", (ONE, 15006, 30), (TWO, 15006, 10)),
    cluster("catalog.half", (DEAD, 15006, 1), (ONE, 15006, 1)),
    cluster("catalog.mixed", (NOBODY, 15006, 1), (ONE, 15006, 1)),
    cluster("catalog.dead", (DEAD, 15006, 1)),
    cluster("catalog.nobody", (NOBODY, 15006, 1)),
    cluster("catalog.empty"),
    limited("catalog.requests", 100, 2),
    limited("catalog.connections", 2, 100),
    cluster("stock", (STOCK, 15006, 1)),
    cluster("closed", (CLOSED, 15006, 1)),
    cluster("impostor", (ONE, 15006, 1)),
)
CATALOG = virtual_host(
    "catalog",
    route("exact", ("catalog.two", 1), match=exact("/exact")),
    route("prefix", ("catalog.two", 1), match=prefix("/prefix")),
    route("method", ("catalog.two", 1), match=prefix("/method", ("POST", "PUT"))),
    route("header", ("catalog.two", 1), match=prefix("/header", (), ("x-beta", "tru,e"), ("x-user", "Ann"))),
    route("split", ("catalog.one", 100_000), ("stock", 300_000), match=prefix("/split")),
    route("weighted", ("catalog.weighted", 1), match=prefix("/weighted")),
    route("spread", ("catalog", 1), match=prefix("/spread"), retries=retrying(1, GATEWAY)),
    route("half", ("catalog.half", 1), match=prefix("/half")),
    route("mixed", ("catalog.mixed", 1), match=prefix("/mixed")),
    route("half-once", ("catalog.half", 1), match=prefix("/once"), retries=sidecars.NO_RETRIES),
    route("dead", ("catalog.dead", 1), match=prefix("/dead"), retries=retrying(2, CONNECT)),
    route("nobody", ("catalog.nobody", 1), match=prefix("/nobody"), retries=retrying(2, CONNECT)),
    route("empty", ("catalog.empty", 1), match=prefix("/empty")),
    route("no-backend", match=prefix("/no-backend")),
    route("gateway", ("catalog.one", 1), match=prefix("/gateway"), retries=retrying(2, GATEWAY)),
    route("slow", ("catalog.one", 1), match=prefix("/slow"), timeout=written(milliseconds=400)),
    route(
        "tries",
        ("catalog.one", 1),
        match=prefix("/tries"),
        timeout=written(milliseconds=700),
        retries=retrying(9, GATEWAY),
    ),
    route("unlimited", ("catalog.one", 1), match=prefix("/unlimited"), timeout=written()),
    route("requests", ("catalog.requests", 1), match=prefix("/requests")),
    route("connections", ("catalog.connections", 1), match=prefix("/connections")),
    route("all", ("catalog.one", 1)),
)
PARTIAL = virtual_host("partial", route("only", ("catalog.one", 1), match=prefix("/only")))
STOCK_HOST = virtual_host("stock", route("stock", ("stock", 1)))
CLOSED_HOST = virtual_host("closed", route("closed", ("closed", 1)))
IMPOSTOR = virtual_host("impostor", route("impostor", ("impostor", 1)))


def instance(name, address):
    return structs.replace(fixtures.callee("catalog", address, "web", "other"), instance=name)


def impatient(callee):
    return structs.replace(callee, inbound=structs.replace(callee.inbound, idle_timeout=timedelta(seconds=1)))


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture(scope="module")
def mesh(authority, tmp_path_factory):
    hosts = (CATALOG, PARTIAL, STOCK_HOST, CLOSED_HOST, IMPOSTOR)
    parts = (
        fixtures.caller(WEB, *hosts, clusters=CLUSTERS),
        instance("one", ONE),
        instance("two", TWO),
        instance("dead", DEAD),
        impatient(fixtures.callee("stock", STOCK, "web")),
        fixtures.callee("closed", CLOSED),
    )
    with fixtures.running(tmp_path_factory.mktemp("mesh"), authority, *parts) as started:
        yield started


@pytest.fixture(scope="module")
def apps(mesh):
    with contextlib.ExitStack() as stack:
        yield {address: stack.enter_context(App(address)) for address in (ONE, TWO, STOCK, CLOSED)}


@pytest.fixture(autouse=True)
def _forget(apps):
    for app in apps.values():
        app.seen.clear()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("catalog", 200),
        ("CATALOG:15001", 200),
        ("catalog.shop.mesh", 200),
        ("Catalog.Shop.Mesh.:80", 200),
        ("unknown", 403),
        ("unknown:80", 403),
        ("unknown.", 403),
        ("unknown.shop.mesh", 403),
        ("deep.unknown.SHOP.mesh.:1", 403),
        (".shop.mesh", 403),
        ("shop.mesh", 404),
        ("example.com", 404),
        ("catalog.example.com", 404),
        ("catalogxshop.mesh", 404),
        ("127.0.0.1", 404),
    ],
)
def test_host(apps, host, status):
    assert ask(WEB, host=host).status == status
    assert [dict(seen["headers"])["host"] for seen in apps[ONE].seen] == [host] * (status == 200)


@pytest.mark.parametrize(
    ("method", "target", "headers", "where"),
    [
        ("GET", "/exact", (), "two"),
        ("GET", "/exact?q=1", (), "two"),
        ("GET", "/exact/", (), "one"),
        ("GET", "/Exact", (), "one"),
        ("GET", "/prefix", (), "two"),
        ("GET", "/prefix/", (), "two"),
        ("GET", "/prefix/x?y", (), "two"),
        ("GET", "/prefix?x", (), "two"),
        ("GET", "/prefixed", (), "one"),
        ("POST", "/method", (), "two"),
        ("PUT", "/method", (), "two"),
        ("GET", "/method", (), "one"),
        ("HEAD", "/method", (), "one"),
        ("GET", "/header", [("X-Beta", "tru,e"), ("x-user", "Ann")], "two"),
        (
            "GET",
            "/header",
            [("x-beta", "no"), ("x-beta", "tru,e"), ("x-user", "Ann"), ("x-user", "b")],
            "two",
        ),
        ("GET", "/header", [("x-beta", "tru"), ("x-beta", "e"), ("x-user", "Ann")], "one"),
        ("GET", "/header", [("x-beta", "tru,e")], "one"),
        ("GET", "/header", [("x-beta", "tru,e"), ("x-user", "ann")], "one"),
        ("GET", "/header", [("x-beta", "tru,e"), ("x-user", "Ann,b")], "one"),
        ("GET", "/header", [("x-beta", "tru,e"), ("x-user", "Anna")], "one"),
    ],
)
def test_route(apps, method, target, headers, where):
    answer = ask(WEB, method, target, headers=headers)
    assert (answer.status, answer.body) == (200, b"" if method == "HEAD" else PLACES[where].encode())
    assert [(seen["method"], seen["target"]) for seen in apps[PLACES[where]].seen] == [(method, target)]


def test_no_route_is_404(apps):
    assert ask(WEB, target="/only/x", host="partial").status == 200
    assert ask(WEB, target="/else", host="partial").status == 404


def test_split_between_services(apps):
    with Client(WEB) as client:
        bodies = [client.ask(target="/split").body.decode() for _ in range(400)]
    assert set(bodies) == {ONE, STOCK}
    assert 240 <= bodies.count(STOCK) <= 350


def test_endpoint_weights(apps):
    with Client(WEB) as client:
        bodies = [client.ask(target="/weighted").body.decode() for _ in range(80)]
    assert 55 <= bodies.count(ONE) <= 65


def test_dead_application_is_tried_elsewhere_for_any_method(apps):
    body = b"x" * 200_000
    for _ in range(6):
        assert ask(WEB, "POST", "/half", body=body).status == 200
        assert ask(WEB, "GET", "/mixed").status == 200
    assert [seen["body"] for seen in apps[ONE].seen if seen["method"] == "POST"] == [len(body)] * 6


def test_dead_application_without_retries_is_503(apps):
    statuses = {ask(WEB, "GET", "/once").status for _ in range(6)}
    assert statuses == {200, 503}


@pytest.mark.parametrize(("path", "tries"), [("/dead", 3), ("/nobody", 3), ("/empty", 1), ("/no-backend", 0)])
def test_nobody_there_is_503(mesh, apps, path, tries):
    answer = ask(WEB, "POST", path, body=b"x")
    assert answer.status == 503
    assert not answer.values("x-mesh-status")
    assert mesh["web"].logged(path=path, method="POST", status=503)["tries"] == tries


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize(("method", "tries"), [("GET", 3), ("PUT", 3), ("POST", 1), ("PATCH", 1)])
def test_gateway_error_is_retried_for_idempotent_methods(apps, method, tries, status):
    answer = ask(WEB, method, f"/gateway?status={status}&body=last", body=b"x")
    assert (answer.status, answer.body) == (status, b"last")
    assert len(apps[ONE].seen) == tries


@pytest.mark.parametrize("query", ["status=500", "status=429", "reset=1"])
def test_nothing_else_is_retried(apps, query):
    answer = ask(WEB, "GET", f"/gateway?{query}")
    assert answer.status in {500, 429, 503, 502}
    # The callee tells of the reset by a 503 of its own, which is a gateway error and may be retried.
    assert len(apps[ONE].seen) == (3 if "reset" in query else 1)


def test_reset_is_not_retried_without_a_condition(apps):
    assert ask(WEB, "GET", "/?reset=1").status in {502, 503}
    assert len(apps[ONE].seen) == 1


def test_retry_prefers_another_endpoint(apps):
    for _ in range(10):
        assert ask(WEB, "GET", "/spread?status=503").status == 503
    assert (len(apps[ONE].seen), len(apps[TWO].seen)) == (10, 10)


def test_written_timeout(apps):
    started = time.monotonic()
    assert ask(WEB, "GET", "/slow?wait=2").status == 504
    assert 0.38 <= time.monotonic() - started < 0.6


def test_written_timeout_starts_with_the_last_byte_of_the_request(apps):
    with Client(WEB) as client:
        client.send(b"POST /slow?wait=0.2 HTTP/1.1\r\nHost: catalog\r\nContent-Length: 4\r\n\r\nab")
        time.sleep(0.6)
        client.send(b"cd")
        assert client.receive().status == 200


def test_written_timeout_covers_all_tries(apps):
    started = time.monotonic()
    assert ask(WEB, "GET", "/tries?wait=0.25&status=503").status == 504
    assert 0.68 <= time.monotonic() - started < 0.9
    assert len(apps[ONE].seen) == 3


def test_timeout_after_the_head_cuts_the_connection(apps):
    answer = ask(WEB, "GET", "/slow?drip=2&body=xy&times=50000")
    assert (answer.status, answer.cut) == (200, True)


def test_timeout_switched_off(apps):
    assert ask(WEB, "GET", "/unlimited?wait=0.9").status == 200


@pytest.mark.parametrize("path", ["/requests", "/connections"])
def test_circuit_breaker(apps, path):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = pool.map(
            lambda _: (time.monotonic(), ask(WEB, "GET", f"{path}?wait=0.6"), time.monotonic()), range(8)
        )
        results = [(answer.status, round(end - start, 1)) for start, answer, end in answers]
    assert sorted(status for status, _ in results) == [200] * 2 + [503] * 6
    assert all(duration < 0.4 for status, duration in results if status == 503)


@pytest.mark.parametrize(
    ("query", "status", "body"),
    [
        ("status=425&body=early", 425, b"early"),
        ("status=425&body=early&headers=x-mesh-status%3D470%26x-own%3D1", 425, b"early"),
        ("status=470&body=own", 470, b"own"),
        ("status=470&body=own&headers=x-mesh-status%3D425", 470, b"own"),
        ("status=200&body=fine&headers=x-mesh-status%3D425", 200, b"fine"),
        ("status=503&body=own", 503, b"own"),
    ],
)
def test_statuses_of_the_application_survive(apps, query, status, body):
    answer = ask(WEB, "GET", f"/?{query}")
    assert (answer.status, answer.body) == (status, body)
    assert not answer.values("x-mesh-status")
    assert answer.values("x-own") == ["1"] * ("x-own" in query)
    assert len(apps[ONE].seen) == 1


def test_wrong_server_name_is_refused(mesh, apps):
    assert ask(WEB, host="impostor").status == 503
    assert apps[ONE].seen == []


def test_caller_without_rule_is_403(mesh, apps):
    assert ask(WEB, host="closed").status == 403
    assert apps[CLOSED].seen == []
    assert mesh["closed"].logged(caller="web", status=403)["upstream"] == ""


def hop(context, *arguments, address=ONE, **keywords):
    with Client(address, 15006, context, "catalog.shop.mesh") as client:
        return client.ask(*arguments, **keywords)


@pytest.fixture
def member(authority, tmp_path):
    """TLS of a member of the mesh, without a sidecar before it."""
    authority.issue("other", tmp_path / "tls")
    return fixtures.client_context(tmp_path)


def test_inbound_demands_a_certificate_of_the_mesh(mesh, apps, authority, member, tmp_path):
    assert hop(member).status == 200
    apps[ONE].seen.clear()
    nobody = ssl.create_default_context(cafile=tmp_path / "tls" / "ca.pem")
    foreign = Authority()
    foreign.issue("web", tmp_path / "foreign" / "tls")
    stranger = ssl.create_default_context(cafile=tmp_path / "tls" / "ca.pem")
    stranger.load_cert_chain(tmp_path / "foreign/tls/cert.pem", tmp_path / "foreign/tls/cert.pem.key")
    authority.issue("web", tmp_path / "elsewhere" / "tls", trust_domain="shop.example.org")
    elsewhere = fixtures.client_context(tmp_path / "elsewhere")
    for context in (nobody, stranger, elsewhere):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            hop(context)
    with pytest.raises(ConnectionError):
        ask(ONE, port=15006)
    assert apps[ONE].seen == []


def test_old_tls_is_refused(mesh, member):
    member.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        hop(member)


def test_no_session_is_resumed(mesh, member):
    with Client(ONE, 15006, member, "catalog.shop.mesh") as client:
        assert client.ask().status in {200, 425}
        assert client._socket.session is None or not client._socket.session.has_ticket


def aliases(name):
    words = name.split("-")
    for marks in itertools.product("-_.", repeat=len(words) - 1):
        yield words[0] + "".join(mark + word for mark, word in zip(marks, words[1:], strict=True))


def test_identity_is_what_the_certificate_says(mesh, apps, member):
    spoofed = [*aliases("X-Mesh-Identity"), *aliases("x-forwarded-client-cert")]
    assert len(spoofed) == 36
    headers = [*((name, "spiffe://shop.example/admin") for name in spoofed), ("x-mesh-identity-not", "kept")]
    assert hop(member, headers=headers).status == 200
    seen = [pair for pair in apps[ONE].seen[0]["headers"] if pair[0] != "host"]
    assert sorted(seen) == [
        ("x-mesh-identity", "spiffe://shop.example/other"),
        ("x-mesh-identity-not", "kept"),
    ]


def vectors():
    """All but those that end in a space: that ends the target, and more of them are not part of it."""
    listed = YAML(typ="safe", pure=True).load(VECTORS.read_text())["vectors"]
    return [each for each in listed if not each["target"].endswith(" ")]


@pytest.mark.parametrize("direction", ["outbound", "inbound"])
def test_path_gate_vectors(mesh, apps, member, direction):
    inbound = (STOCK, 15006, member, "stock.shop.mesh")
    # `other` may not call: what gets past the gate is refused by the authorization behind it.
    passed = 403 if direction == "inbound" else 200
    wrong = []
    with fixtures.Kept(*(inbound if direction == "inbound" else (WEB,))) as client:
        for vector in vectors():
            target, accepted = vector["target"], vector["verdict"] == "accepted"
            apps[STOCK].seen.clear()
            status = client.ask("GET", target, host="stock").status
            seen = [each["target"] for each in apps[STOCK].seen]
            if status != (passed if accepted else 400) or seen != [target] * (status == 200):
                wrong.append((target, status, seen))
    assert wrong == []


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: \r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: catalog\r\nHost: catalog\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: catalog\r\nHost: stock\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: catalog\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: catalog\r\n\r\n",
        b"CONNECT catalog:80 HTTP/1.1\r\nHost: catalog:80\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: catalog\r\nx-a: a\0b\r\n\r\n",
    ],
)
def test_ambiguous_requests_are_400(mesh, apps, member, request_bytes):
    for client in (Client(WEB), Client(ONE, 15006, member, "catalog.shop.mesh")):
        with client:
            client.send(request_bytes)
            assert client.receive().status == 400
    assert apps[ONE].seen == []


def test_headers_pass_as_they_were_sent(apps):
    sent = [
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "outside"),
        ("x-request-id", "7"),
        ("via", "1.1 edge"),
        ("user-agent", "test"),
        ("accept", "a"),
        ("x_under", "1"),
        ("x-twice", "1"),
        ("x-twice", "2"),
        ("x-bytes", '\xff\x80"\\'),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ]
    told = "x-envoy-own=1&server=mine&via=1.1 app&date=now&x-twice=1&x-twice=2".replace("&", "%26").replace(
        "=", "%3D"
    )
    answer = ask(WEB, "GET", "/?headers=" + told.replace(" ", "%20"), headers=sent)
    expected = sorted([*sent, ("host", "catalog"), ("x-mesh-identity", "spiffe://shop.example/web")])
    assert sorted(apps[ONE].seen[0]["headers"]) == expected
    expected = [("server", "mine"), ("via", "1.1 app"), ("date", "now"), ("x-twice", "1"), ("x-twice", "2")]
    assert sorted(answer.headers) == sorted(
        [*expected, ("x-envoy-own", "1"), ("content-length", str(len(ONE)))]
    )


def test_known_methods_are_those_that_envoy_takes(apps):
    with fixtures.Kept(WEB) as client:
        for method in sorted({*METHODS, "M-SEARCH", "QUERY", "LABEL"} - {"CONNECT", "HEAD"}):
            status = client.ask(method, "/no-backend").status
            assert status == (503 if method in METHODS else 400), method


@pytest.mark.parametrize(("count", "status"), [(200, 503), (300, 431)])
def test_number_of_headers(apps, count, status):
    headers = [(f"x-{number}", "1") for number in range(count)]
    assert ask(WEB, target="/no-backend", headers=headers).status == status


def test_idle_time_bounds_a_silent_application(apps):
    started = time.monotonic()
    assert ask(WEB, target="/?wait=4", host="stock").status == 504
    assert 0.9 <= time.monotonic() - started < 1.5


def test_nothing_is_added(apps):
    ask(WEB, "GET", "/")
    assert sorted(name for name, _ in apps[ONE].seen[0]["headers"]) == ["host", "x-mesh-identity"]


@pytest.mark.parametrize(
    "header",
    [
        ("x-envoy-upstream-rq-timeout-ms", "1"),
        ("x-envoy-retry-on", "5xx"),
        ("x-envoy-max-retries", "5"),
        ("x-envoy-retriable-status-codes", "503"),
        ("x-mesh-status", "425"),
        ("x-mesh-forwarded-proto", "https"),
    ],
)
def test_the_application_cannot_steer_its_sidecar(apps, header):
    headers = [header, ("x-envoy-retry-on", "5xx,retriable-status-codes")]
    assert ask(WEB, "GET", "/?status=503&wait=0.02", headers=headers).status == 503
    assert [seen["method"] for seen in apps[ONE].seen] == ["GET"]
    assert {header[0], "x-forwarded-proto"}.isdisjoint(dict(apps[ONE].seen[0]["headers"]))


def test_access_log(mesh, apps):
    path = "/logged/%22q"
    ask(WEB, "POST", path + "?secret=1", host="Catalog:80", body=b"abc")
    outbound, inbound = (mesh[name].logged(path=path) for name in ("web", "catalogone"))
    common = {
        "mesh": "shop",
        "method": "POST",
        "host": "Catalog:80",
        "path": path,
        "status": 200,
        "bytes_in": 3,
        "bytes_out": len(ONE),
        "caller": "web",
        "tries": 1,
        "flags": "-",
        "audit": "",
        **dict.fromkeys(("trace_id", "span_id", "parent_id"), ""),
        "build": "sha256:" + "0" * 64,
    }
    for line, own in (
        (outbound, {"service": "web", "direction": "outbound", "route": "all", "upstream": f"{ONE}:15006"}),
        (inbound, {"service": "catalog", "direction": "inbound", "route": "", "upstream": f"{ONE}:8080"}),
    ):
        assert set(line) == set(ACCESS_LOG_FIELDS)
        stamp = time.strptime(line.pop("time")[:19], "%Y-%m-%dT%H:%M:%S")
        assert abs(time.time() - time.mktime(stamp) + time.timezone) < 60
        assert isinstance(line.pop("duration_ms"), int)
        assert line == common | own


def test_access_log_of_broken_requests_has_all_keys(mesh, apps):
    for request_bytes in (
        b"nonsense\r\n\r\n",
        b'GET /\xff HTTP/1.1\r\nHost: \xfe"\\\r\n\r\n',
        b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
    ):
        with Client(WEB) as client:
            client.send(request_bytes)
            assert client.receive().status == 400
    assert mesh["web"].logged(method="CONNECT", status=400)
    for line in mesh["web"].log():
        assert set(line) == set(ACCESS_LOG_FIELDS), line
        assert all(value is not None for value in line.values())


def test_admin_listener(mesh):
    assert ask(WEB, "GET", "/ready", port=15000).status == 200
    answer = ask(WEB, "GET", "/build", port=15000)
    assert answer.values("content-type") == ["application/json"]
    expected = {
        "mesh": "shop",
        "service": "web",
        "instance": "",
        "proxy": "envoy",
        "build": "sha256:" + "0" * 64,
    }
    assert json.loads(answer.body) == expected
    for method, path in (
        ("GET", "/"),
        ("GET", "/stats"),
        ("POST", "/quitquitquit"),
        ("POST", "/ready"),
        ("GET", "/ready/x"),
    ):
        assert ask(WEB, method, path, port=15000, body=b"").status == 404
    assert (mesh["web"].bundle / "run" / "admin.sock").stat().st_mode & 0o777 == 0o600


def test_second_sidecar_on_the_same_ports_does_not_start(mesh, authority, tmp_path):
    twin = fixtures.callee("stock", STOCK, "web")
    second = Running(fixtures.write_bundle(twin, tmp_path, authority), wait=False)
    try:
        assert second.process.wait(10) != 0
    finally:
        second.stop()
    assert ask(STOCK, "GET", "/ready", port=15000).status == 200


@pytest.mark.parametrize("missing", ["cert.pem", "cert.pem.key", "ca.pem"])
@pytest.mark.parametrize("instead", [None, "folder"])
def test_it_does_not_start_without_its_certificates(authority, tmp_path, missing, instead):
    bundle = fixtures.write_bundle(fixtures.callee("unready", "127.0.0.1", "web"), tmp_path, authority)
    (bundle / "tls" / missing).unlink()
    if instead == "folder":
        (bundle / "tls" / missing).mkdir()
    refused = Running(bundle, wait=False)
    try:
        assert refused.process.wait(10) == 1
    finally:
        refused.stop()
    assert f"/tls/{missing}" in (bundle / "stderr").read_text()
    assert not (bundle / "run").exists()


def test_big_bodies_pass_unchanged(apps):
    answer = ask(WEB, "POST", "/?body=0123456789&times=20000", body=b"y" * 3_000_000)
    assert answer.body == b"0123456789" * 20_000
    assert apps[ONE].seen[0]["body"] == 3_000_000


def test_chunked_body(apps):
    with Client(WEB) as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: catalog\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        )
        assert client.receive().status == 200
    assert apps[ONE].seen[0]["body"] == 3


def test_connection_is_kept_after_errors(apps):
    with Client(WEB) as client:
        for target, host, status in (
            ("/", "unknown", 403),
            ("/a//b", "catalog", 400),
            ("/else", "partial", 404),
            ("/dead", "catalog", 503),
            ("/slow?wait=1", "catalog", 504),
            ("/?reset=1", "catalog", 503),
            ("/?status=425", "catalog", 425),
            ("/", "catalog", 200),
        ):
            assert client.ask(target=target, host=host).status == status


def test_new_certificate_is_shown_without_a_restart(mesh, authority, member):
    def shown():
        with Client(ONE, 15006, member, "catalog.shop.mesh") as client:
            return client._socket.getpeercert()["serialNumber"]

    before = shown()
    authority.issue("catalog", mesh["catalogone"].bundle / "tls")
    deadline = time.monotonic() + 5
    while shown() == before:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert ask(WEB).status in {200, 425}
