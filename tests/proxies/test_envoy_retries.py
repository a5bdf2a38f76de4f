"""Timeouts and retries of Envoy, one by one and together, against applications that fail on order."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import socket
import threading
import time
from datetime import timedelta
from fractions import Fraction

import pytest
from msgspec import structs

from meshctl import ir
from tests import sidecars
from tests.proxies import envoy_fixtures as fixtures
from tests.proxies.envoy_fixtures import App, Authority, Client, ask
from tests.sidecars import WRITTEN, cluster, route, virtual_host

NETWORK = f"127.60.{os.getpid() % 250 + 1}"
WEB, ONE, TWO, BREAKING, NOBODY, DEAD = (f"{NETWORK}.{number}" for number in range(31, 37))
pytestmark = pytest.mark.xdist_group("envoy-retries")

CONNECT, RESET = ir.RetryCondition.CONNECT_FAILURE, ir.RetryCondition.RESET
GATEWAY, SERVER = ir.RetryCondition.GATEWAY_ERROR, ir.RetryCondition.SERVER_ERROR
SLOW = ir.RetryCondition.PER_TRY_TIMEOUT


def milliseconds(number):
    return timedelta(milliseconds=number)


def policy(attempts, *conditions, per_try=0, methods=sidecars.IDEMPOTENT, **others):
    return ir.RetryPolicy(
        attempts,
        conditions,
        methods,
        per_try_timeout=ir.PerTryTimeout(milliseconds(per_try)),
        at=WRITTEN,
        **others,
    )


def within(number):
    return ir.Timeout(milliseconds(number), WRITTEN)


def upload(number):
    return ir.BodyTimeout(milliseconds(number), WRITTEN)


def to(backend, path, retries=sidecars.NO_RETRIES, **others):
    match = ir.RouteMatch(ir.PathMatch(ir.PathMatchKind.PREFIX, path), (), ())
    return route(path[1:], (backend, 1), match=match, retries=retries, **others)


QUICK = ir.Backoff(milliseconds(1), milliseconds(2))
BUDGET = ir.RetryBudget(Fraction(1, 5), WRITTEN)
ROUTES = (
    to("one", "/statuses", policy(2, statuses=(425, 429, 505), backoff=QUICK)),
    to("one", "/server", policy(2, SERVER)),
    to("one", "/any-method", policy(2, GATEWAY, non_idempotent=True)),
    to("one", "/own-methods", policy(2, GATEWAY, methods=("POST", "M-SEARCH"))),
    to("one", "/backoff", policy(2, GATEWAY, backoff=ir.Backoff(milliseconds(400), milliseconds(400)))),
    to("broken", "/reset", policy(2, RESET)),
    to("broken", "/server-reset", policy(2, SERVER)),
    to("broken", "/no-reset", policy(2, CONNECT, GATEWAY)),
    to("nobody", "/reset-nobody", policy(2, RESET)),
    to("nobody", "/connect", policy(2, CONNECT)),
    to("dead", "/dead-server", policy(2, SERVER)),
    to("one", "/try", policy(0, per_try=300)),
    to("one", "/tries", policy(2, SLOW, per_try=300)),
    to("both", "/elsewhere", policy(1, SLOW, per_try=300)),
    to("one", "/not-slow", policy(2, GATEWAY, per_try=300)),
    to("both", "/all", policy(3, SLOW, SERVER, per_try=300, backoff=QUICK), timeout=within(800)),
    to("limited", "/budget", policy(1, GATEWAY, budget=BUDGET)),
    to("one", "/upload", body_timeout=upload(300), timeout=within(1500)),
    to(
        "one",
        "/upload-moved",
        body_timeout=upload(300),
        timeout=within(0),
        rewrite=ir.Rewrite(prefix="/statuses", hostname="other.example"),
    ),
    to("one", "/upload-retried", policy(1, GATEWAY), body_timeout=upload(300)),
    to(
        "one",
        "/upload-bare",
        body_timeout=upload(300),
        request_headers=ir.HeaderChanges(remove=("x-forwarded-proto",)),
    ),
    to("one", "/streaming", streaming=True, timeout=within(0)),
)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    def reached(name, *addresses, port=15006):
        return structs.replace(
            cluster(
                "catalog", *((address, port, 1) for address in addresses), idle_timeout=milliseconds(2000)
            ),
            name=name,
        )

    # What breaks off without a word is no sidecar: the hop itself fails.
    broken = structs.replace(reached("broken", BREAKING), identity=None, origin=ir.Origin(None))
    limited = structs.replace(
        reached("limited", ONE), circuit_breaker=ir.CircuitBreaker(max_connections=500, max_requests=500)
    )
    clusters = (
        reached("one", ONE),
        reached("both", ONE, TWO),
        broken,
        reached("nobody", NOBODY),
        reached("dead", DEAD),
        limited,
    )
    parts = (
        fixtures.caller(WEB, virtual_host("catalog", *ROUTES), clusters=clusters),
        structs.replace(fixtures.callee("catalog", ONE, "web"), instance="one"),
        structs.replace(fixtures.callee("catalog", TWO, "web"), instance="two"),
        structs.replace(fixtures.callee("catalog", DEAD, "web"), instance="dead"),
    )
    with fixtures.running(tmp_path_factory.mktemp("mesh"), Authority(), *parts) as started:
        yield started


class Breaking:
    """Reads a request and resets the connection."""

    def __init__(self, address):
        self.asked = 0
        self._listening = socket.create_server((address, 15006))
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._listening.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                with connection:
                    self.asked += bool(connection.recv(65536))
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@pytest.fixture(scope="module")
def breaking(mesh):
    with Breaking(BREAKING) as running:
        yield running


@pytest.fixture(scope="module")
def apps(mesh):
    with App(ONE) as one, App(TWO) as two:
        yield one, two


@pytest.fixture(autouse=True)
def _forget(apps):
    for app in apps:
        app.seen.clear()


def timed(*arguments, **keywords):
    started = time.monotonic()
    answer = ask(*arguments, **keywords)
    return answer, time.monotonic() - started


@pytest.mark.parametrize(
    ("method", "target", "status", "tries"),
    [
        ("GET", "/statuses?status=429", 429, 3),
        ("GET", "/statuses?status=505", 505, 3),
        ("GET", "/statuses?status=425", 425, 3),
        ("GET", "/statuses?status=470", 470, 1),
        ("GET", "/statuses?status=503", 503, 1),
        ("POST", "/statuses?status=429", 429, 1),
        ("GET", "/server?status=500", 500, 3),
        ("GET", "/server?status=599", 599, 3),
        ("GET", "/server?status=499", 499, 1),
        ("POST", "/server?status=500", 500, 1),
        ("POST", "/any-method?status=503", 503, 3),
        ("PATCH", "/any-method?status=503", 503, 3),
        ("POST", "/any-method?status=500", 500, 1),
        ("POST", "/own-methods?status=503", 503, 3),
        ("GET", "/own-methods?status=503", 503, 1),
    ],
)
def test_answers(apps, method, target, status, tries):
    answer = ask(WEB, method, target, body=b"abc")
    assert (answer.status, len(apps[0].seen)) == (status, tries)
    assert {seen["body"] for seen in apps[0].seen} == {3}


@pytest.mark.parametrize(
    ("method", "path", "tries"),
    [
        ("GET", "/reset", 3),
        ("PUT", "/reset", 3),
        ("POST", "/reset", 1),
        ("GET", "/server-reset", 3),
        ("POST", "/server-reset", 1),
        ("GET", "/no-reset", 1),
    ],
)
def test_resets(mesh, breaking, method, path, tries):
    before = breaking.asked
    assert ask(WEB, method, path, body=b"x").status in {502, 503}
    assert breaking.asked - before == tries


@pytest.mark.parametrize("path", ["/connect", "/dead-server", "/reset-nobody"])
def test_nobody_there(mesh, path):
    """Not reached is no reset: 503 whatever is tried."""
    assert ask(WEB, "GET", path).status == 503


def test_a_dead_application_is_no_server_error(mesh):
    assert ask(WEB, "GET", "/dead-server/x").status == 503
    assert mesh["web"].logged(path="/dead-server/x")["tries"] == 1


def test_backoff(apps):
    durations = [timed(WEB, "GET", "/backoff?status=503")[1] for _ in range(6)]
    # Each of the two pauses is drawn between nothing and 400 ms.
    assert all(duration < 1.0 for duration in durations)
    assert sum(durations) > 0.8


def test_per_try_timeout_alone(apps):
    answer, duration = timed(WEB, "GET", "/try?wait=1")
    assert (answer.status, len(apps[0].seen)) == (504, 1)
    assert 0.28 <= duration < 0.6


def test_per_try_timeout_covers_the_whole_answer(apps):
    answer, duration = timed(WEB, "GET", "/try?drip=1&body=xy&times=50000")
    assert (answer.status, answer.cut) == (200, True)
    assert duration < 0.7


def test_per_try_timeout_starts_with_the_last_byte_of_the_request(apps):
    with Client(WEB) as client:
        client.send(b"POST /try?wait=0.1 HTTP/1.1\r\nHost: catalog\r\nContent-Length: 4\r\n\r\nab")
        time.sleep(0.5)
        client.send(b"cd")
        assert client.receive().status == 200


@pytest.mark.parametrize(
    ("method", "target", "tries", "least", "most"),
    [
        ("GET", "/tries?wait=1", 3, 0.88, 2.0),
        ("POST", "/tries?wait=1", 1, 0.28, 0.6),
        ("GET", "/not-slow?wait=1", 1, 0.28, 0.6),
    ],
)
def test_slow_tries(apps, method, target, tries, least, most):
    answer, duration = timed(WEB, method, target, body=b"")
    assert (answer.status, len(apps[0].seen)) == (504, tries)
    assert least <= duration < most


def test_slow_try_is_made_elsewhere(apps):
    one, two = apps
    for _ in range(3):
        one.seen.clear()
        two.seen.clear()
        answer, duration = timed(WEB, "GET", "/elsewhere?wait=1")
        assert (answer.status, len(one.seen), len(two.seen)) == (504, 1, 1)
        assert 0.58 <= duration < 1.0


def test_everything_together(apps):
    """Tries of at most 300 ms, on other endpoints in turn, within 800 ms."""
    answer, duration = timed(WEB, "GET", "/all?wait=1")
    assert answer.status == 504
    assert 0.78 <= duration < 1.1
    assert sum(len(app.seen) for app in apps) == 3
    assert all(app.seen for app in apps)
    answer, duration = timed(WEB, "GET", "/all?status=500")
    assert answer.status == 500
    assert duration < 0.3
    assert sum(len(app.seen) for app in apps) == 3 + 4


def test_budget(apps):
    """Of 30 requests under way a fifth may be retries, but always 3."""
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        statuses = list(pool.map(lambda _: ask(WEB, "GET", "/budget?status=503&wait=0.5").status, range(30)))
    assert set(statuses) == {503}
    assert 3 <= len(apps[0].seen) - 30 <= 9
    apps[0].seen.clear()
    assert ask(WEB, "GET", "/budget?status=503").status == 503
    assert len(apps[0].seen) == 2


@pytest.mark.parametrize("path", ["/upload", "/upload-moved", "/upload-retried"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_upload_that_stands_still(mesh, apps, path, chunked):
    head, part = ("Transfer-Encoding: chunked", "2\r\nab\r\n") if chunked else ("Content-Length: 4", "ab")
    with Client(WEB) as client:
        started = time.monotonic()
        client.send(f"POST {path} HTTP/1.1\r\nHost: catalog\r\n{head}\r\n\r\n{part}".encode())
        assert client.receive().status == 408
        assert 0.28 <= time.monotonic() - started < 0.6
    assert apps[0].seen == []


@pytest.mark.parametrize("path", ["/upload", "/upload-moved", "/upload-retried"])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_upload_that_moves_on(mesh, apps, path, method):
    """Neither a slow upload nor a slow answer stands still."""
    with Client(WEB) as client:
        client.send(f"POST {path}?wait=0.7 HTTP/1.1\r\nHost: catalog\r\nContent-Length: 4\r\n\r\n".encode())
        for byte in (b"a", b"b", b"c", b"d"):
            time.sleep(0.15)
            client.send(byte)
        assert client.receive().status == 200
        assert client.ask(method, f"{path}?wait=0.7").status == 200
        assert client.ask(method, f"{path}?wait=0.7", body=b"x" * 200_000).status == 200
    rewritten = "/statuses" if path == "/upload-moved" else path
    assert {seen["target"] for seen in apps[0].seen} == {f"{rewritten}?wait=0.7"}
    assert [seen["body"] for seen in apps[0].seen] == [4, 0, 200_000]


@pytest.mark.parametrize("path", ["/upload", "/upload-bare"])
@pytest.mark.parametrize("sent", [[], ["ftp"], [""], ["a", "b"]])
def test_upload_never_loses_its_route(apps, path, sent):
    """Without x-forwarded-proto Envoy finds no route, and crashes when the time of such a request is over."""
    headers = [("x-forwarded-proto", each) for each in sent]
    assert ask(WEB, "POST", f"{path}?wait=0.5", headers=headers, body=b"x").status == 200
    (told,) = (value for name, value in apps[0].seen[0]["headers"] if name == "x-forwarded-proto")
    assert told == ("http" if path == "/upload-bare" else ",".join(sent) or "http")


def test_timeouts_after_an_upload(apps):
    assert timed(WEB, "POST", "/upload?wait=3", body=b"x")[0].status == 504
    answer, duration = timed(WEB, "POST", "/upload-moved?wait=4", body=b"x")
    assert answer.status == 504
    # Without a timeout the cluster's idle timeout of two seconds is what remains.
    assert 1.9 <= duration < 3


def test_streaming(apps):
    """Pieces go on as they come, both ways, and time does not count while any come."""
    with Client(WEB) as client:
        client.send(
            b"POST /streaming?drip=0.5&body=ab&times=2 HTTP/1.1\r\nHost: catalog\r\nContent-Length: 1\r\n\r\n"
        )
        client.send(b"x")
        client._socket.settimeout(5)
        started = time.monotonic()
        received = b""
        while b"\r\n\r\nab" not in received:
            received += client._socket.recv(4096)
        first = time.monotonic() - started
        while not received.endswith(b"\r\n\r\nabab"):
            received += client._socket.recv(4096)
        assert first < 0.35 < time.monotonic() - started
