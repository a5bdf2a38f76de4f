"""Tries, times and streams on NGINX, with applications of no mesh behind it that fail in every way."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections import Counter
from contextlib import ExitStack, closing, suppress
from datetime import timedelta
from fractions import Fraction

import pytest
from msgspec import structs

from meshctl import ir
from meshctl.ir import RetryCondition
from tests.proxies.nginx_fixtures import App, new_authority, raw, request, running, start
from tests.sidecars import IDEMPOTENT, WRITTEN, cluster, route, sidecar, virtual_host
from tests.turns import turn

pytestmark = pytest.mark.xdist_group("nginx-tries")

WEB, HOP, V1, V2, NOBODY = "127.62.2.1", "127.62.2.2", "127.62.2.3", "127.62.2.4", "127.62.2.9"
CONNECT, RESET = RetryCondition.CONNECT_FAILURE, RetryCondition.RESET
GATEWAY, SERVER = RetryCondition.GATEWAY_ERROR, RetryCondition.SERVER_ERROR
PER_TRY = RetryCondition.PER_TRY_TIMEOUT
LATE = 1.5
"""Seconds that something short may take on a machine with other things to do."""


def ms(count: int) -> timedelta:
    return timedelta(milliseconds=count)


def policy(attempts: int, *conditions: RetryCondition, per_try: int = 0, **others) -> ir.RetryPolicy:
    methods = others.pop("methods", IDEMPOTENT)
    timeout = ir.PerTryTimeout(ms(per_try), at=WRITTEN if per_try else None)
    return ir.RetryPolicy(attempts, conditions, methods, per_try_timeout=timeout, at=WRITTEN, **others)


def host(name: str, backend: str, retries: ir.RetryPolicy, **changes) -> ir.VirtualHost:
    return virtual_host(name, route(name, (backend, 1), retries=retries, **changes))


def total(count: int) -> ir.Timeout:
    return ir.Timeout(ms(count), at=WRITTEN)


PAUSE = ir.Backoff(ms(200), ms(300))
STREAM = {"streaming": True, "timeout": ir.Timeout(timedelta(0))}
HOSTS = (
    host("reset", "one", policy(2, RESET)),
    host("server", "one", policy(3, SERVER)),
    host("codes", "one", policy(2, statuses=(409, 429))),
    host("codes-connect", "half", policy(1, CONNECT, statuses=(409,))),
    host("any-method", "one", policy(2, SERVER, non_idempotent=True)),
    host("posts", "one", policy(1, SERVER, methods=("POST",))),
    host("gateway-any", "one", policy(2, GATEWAY, non_idempotent=True)),
    host("slow", "both", policy(1, PER_TRY, per_try=300)),
    host("slow-once", "one", policy(0, per_try=300)),
    host("slow-both", "one", policy(0, per_try=300), timeout=total(3000)),
    host(
        "everything",
        "both",
        policy(5, PER_TRY, SERVER, CONNECT, per_try=300, backoff=PAUSE),
        timeout=total(1000),
    ),
    host("pause", "one", policy(2, GATEWAY, backoff=PAUSE)),
    host("long-pause", "one", policy(2, GATEWAY, backoff=ir.Backoff(ms(900), ms(900))), timeout=total(400)),
    host("pause-connect", "dead", policy(1, CONNECT, backoff=PAUSE)),
    host("two-by-two", "both", policy(1, SERVER)),
    host("budget", "one", policy(3, SERVER, budget=ir.RetryBudget(Fraction(1, 5)))),
    host("hop", "catalog", policy(2, CONNECT, SERVER)),
    host("hop-425", "catalog", policy(2, statuses=(425,))),
    host("hop-470", "catalog", policy(2, statuses=(470,))),
    host("body", "one", policy(0), body_timeout=ir.BodyTimeout(ms(500), at=WRITTEN)),
    host("body-hop", "one", policy(1, SERVER), body_timeout=ir.BodyTimeout(ms(500), at=WRITTEN)),
    host("stream", "catalog", policy(1, CONNECT), **STREAM),
    host("stream-hop", "catalog", policy(2, CONNECT, SERVER), **STREAM),
    host("often", "one", policy(8, SERVER)),
    host("plain", "one", policy(1, CONNECT)),
)


def outside(name: str, *endpoints: tuple[str, int, int]) -> ir.Cluster:
    return structs.replace(cluster(name, *endpoints), identity=None, origin=ir.Origin(None))


class World:
    def __init__(self, folder, stack: ExitStack) -> None:
        self.one, self.two, self.behind = App(V1), App(V2), App(HOP)
        signer = new_authority()
        made = sidecar(
            "web",
            ir.Proxy.NGINX,
            address=WEB,
            virtual_hosts=HOSTS,
            clusters=(
                outside("one", (V1, 8080, 1)),
                outside("both", (V1, 8080, 1), (V2, 8080, 1)),
                outside("half", (NOBODY, 8080, 1), (V1, 8080, 1)),
                outside("dead", (NOBODY, 8080, 1)),
                cluster("catalog", (HOP, 15006, 1)),
            ),
        )
        catalog = sidecar("catalog", ir.Proxy.NGINX, address=HOP, callers=("web",))
        self.web = stack.enter_context(running(made, folder / "web", signer))
        self.catalog = stack.enter_context(running(catalog, folder / "catalog", signer))

    @property
    def apps(self) -> tuple[App, ...]:
        return self.one, self.two, self.behind


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    with turn("127.62.2"), ExitStack() as stack:
        world = World(tmp_path_factory.mktemp("tries"), stack)
        yield world
        for app in world.apps:
            app.stop()
        assert world.web.errors() == world.catalog.errors() == ""


@pytest.fixture
def world(live):
    for app in live.apps:
        app.seen.clear()
        app.answer = lambda handler: handler.reply(200, b"hello")
    return live


def in_turn(app: App, *statuses: int):
    """Answers one after the other; 0 is a reset, the last one stays."""

    def answer(handler) -> None:
        status = statuses[min(len(app.seen), len(statuses)) - 1]
        if status:
            handler.reply(status, b"mine", {"x-mine": "1"})
        else:
            handler.reset()

    app.answer = answer


@pytest.mark.parametrize(
    ("name", "method", "statuses", "status", "tries"),
    [
        ("reset", "GET", (0, 200), 200, 2),
        ("reset", "GET", (0,), 502, 3),
        ("reset", "POST", (0, 200), 502, 1),
        ("reset", "GET", (503, 200), 503, 1),
        ("server", "PUT", (500, 501, 599, 200), 200, 4),
        ("server", "GET", (0, 505, 200), 200, 3),
        ("server", "GET", (500,), 500, 4),
        ("server", "POST", (500, 200), 500, 1),
        ("server", "GET", (425, 200), 425, 1),
        ("server", "GET", (470, 200), 470, 1),
        ("server", "GET", (404, 200), 404, 1),
        ("codes", "GET", (409, 429, 200), 200, 3),
        ("codes", "GET", (429,), 429, 3),
        ("codes", "GET", (503, 200), 503, 1),
        ("codes", "GET", (0, 200), 502, 1),
        ("any-method", "POST", (0, 501, 200), 200, 3),
        ("any-method", "PATCH", (501,), 501, 3),
        ("posts", "POST", (500, 200), 200, 2),
        ("posts", "GET", (500, 200), 500, 1),
        ("gateway-any", "POST", (502, 503, 200), 200, 3),
        ("gateway-any", "POST", (500, 200), 500, 1),
        ("often", "GET", (503,), 503, 9),
        ("plain", "GET", (425,), 425, 1),
    ],
)
def test_conditions(world, name, method, statuses, status, tries):
    in_turn(world.one, *statuses)
    answer = request(WEB, "/a?b", host=name, method=method, body=b"x" * 200_000)
    assert answer.status == status
    last = statuses[min(tries, len(statuses)) - 1]
    assert (answer.body, answer.header("x-mine")) == ((b"mine", ["1"]) if last else (b"no answer\n", []))
    assert {(seen.method, seen.target, len(seen.body)) for seen in world.one.seen} == {
        (method, "/a?b", 200_000)
    }
    assert len(world.one.seen) == tries
    assert not any(
        header for seen in world.one.seen for header, _ in seen.headers if header.startswith("x-mesh")
    )
    line = world.web.last_log()[0]
    assert (line["tries"], line["status"], line["upstream"]) == (tries, status, f"{V1}:8080")


def test_another_endpoint_is_preferred(world):
    world.one.answer = lambda handler: handler.reply(500)
    assert {request(WEB, host="two-by-two").status for _ in range(10)} == {200}
    world.one.answer = lambda handler: handler.reply(after=2)
    assert {request(WEB, host="slow").status for _ in range(4)} == {200}


def test_connections_that_fail_are_tried_elsewhere(world):
    answers = [request(WEB, host="codes-connect", method="POST", body=b"x") for _ in range(6)]
    assert {answer.status for answer in answers} == {200}


def test_a_try_has_its_own_time(world):
    world.one.answer = world.two.answer = lambda handler: handler.reply(after=2)
    answer = request(WEB, host="slow")
    assert answer.status == 504
    assert 0.59 <= answer.seconds <= LATE
    assert (len(world.one.seen), len(world.two.seen)) == (1, 1)
    answer = request(WEB, host="slow", method="POST", body=b"x")
    assert (answer.status, len(world.one.seen) + len(world.two.seen)) == (504, 3)
    answer = request(WEB, host="slow-once")
    assert answer.status == 504
    assert 0.29 <= answer.seconds <= LATE
    assert world.web.last_log()[0]["flags"] == "T"


@pytest.mark.parametrize("name", ["slow-once", "slow-both"])
@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_ends_with_the_time_of_its_try(world, name, chunked):
    world.one.answer = lambda handler: handler.drip(40, 0.1, chunked=chunked)
    started = time.monotonic()
    with closing(http.client.HTTPConnection(WEB, 15001, timeout=5)) as connection:
        connection.request("GET", "/", headers={"Host": name})
        answer = connection.getresponse()
        assert answer.status == 200
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            answer.read()
    assert 0.29 <= time.monotonic() - started <= LATE


def test_everything_together(world):
    """Tries of 300 ms with pauses inside one second, on two endpoints; then an answer in time."""
    world.one.answer = world.two.answer = lambda handler: handler.reply(after=2)
    answer = request(WEB, host="everything", method="PUT", body=b"x" * 100_000)
    assert answer.status == 504
    assert 0.99 <= answer.seconds <= 0.99 + LATE
    assert 2 <= len(world.one.seen) + len(world.two.seen) <= 3
    world.one.answer = world.two.answer = lambda handler: handler.reply(
        500 if len(world.one.seen) + len(world.two.seen) < 6 else 201
    )
    assert request(WEB, host="everything").status == 201


def test_pauses(world):
    in_turn(world.one, 503, 503, 200)
    answer = request(WEB, host="pause")
    assert (answer.status, len(world.one.seen)) == (200, 3)
    assert 0.24 <= answer.seconds <= 0.5 + LATE  # half of 200 and of 300 ms at least
    answer = request(WEB, host="pause-connect")
    assert answer.status == 503
    assert 0.09 <= answer.seconds <= 0.2 + LATE
    in_turn(world.one, 503)
    answer = request(WEB, host="long-pause")
    assert answer.status == 504
    assert 0.39 <= answer.seconds <= LATE


def test_a_budget_bounds_retries_under_way(world):
    barrier = threading.Barrier(20)

    def once(answers: list[tuple[int, bytes]]) -> None:
        barrier.wait()
        answer = request(WEB, host="budget")
        answers.append((answer.status, answer.body))

    world.one.answer = lambda handler: handler.reply(500, b"mine", after=0.3)
    answers: list[tuple[int, bytes]] = []
    threads = [threading.Thread(target=once, args=(answers,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(answers) == {(500, b"mine"): 20}
    # At first 4 of 20, and never more than 3 or a fifth afterwards, up to three times each.
    assert 20 + 3 <= len(world.one.seen) <= 20 + 12
    world.one.seen.clear()
    in_turn(world.one, 500, 500, 200)
    assert [request(WEB, host="budget").status for _ in range(3)] == [200] * 3


def test_a_budget_forgets_clients_that_went_away(world):
    world.one.answer = lambda handler: handler.reply(500, after=0.1)
    for _ in range(8):
        with closing(socket.create_connection((WEB, 15001))) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: budget\r\n\r\n")
            time.sleep(0.15)
    time.sleep(0.3)
    world.one.seen.clear()
    in_turn(world.one, 500, 500, 500, 200)
    assert request(WEB, host="budget").status == 200


def test_the_hop_status_is_seen_through_the_tries(world):
    world.behind.stop()
    try:
        answers = [request(WEB, host=name, method="POST", body=b"x") for name in ("hop", "hop-425")]
    finally:
        world.behind = App(HOP)
    assert [answer.status for answer in answers] == [503, 503]
    assert [line["tries"] for line in world.web.last_log(2)] == [3, 1]


@pytest.mark.parametrize(
    ("name", "status", "tries"),
    [("hop", 425, 1), ("hop-425", 425, 3), ("hop-425", 470, 1), ("hop-470", 470, 3), ("hop-470", 425, 1)],
)
def test_the_applications_own_statuses_are_only_that(world, name, status, tries):
    in_turn(world.behind, status)
    answer = request(WEB, host=name)
    assert (answer.status, answer.body, answer.header("x-mesh-status")) == (status, b"mine", [])
    assert len(world.behind.seen) == tries


@pytest.mark.parametrize("name", ["body", "body-hop"])
@pytest.mark.parametrize("framing", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_an_upload_that_stands_still_is_cut(world, name, framing):
    started = time.monotonic()
    answer = raw(WEB, f"POST / HTTP/1.1\r\nHost: {name}\r\n{framing}\r\n\r\n5\r\nhello\r\n".encode())
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408 ")
    assert 0.49 <= time.monotonic() - started <= 0.8 + LATE
    assert world.one.seen == []


def test_an_upload_that_goes_on_is_not(world):
    with closing(socket.create_connection((WEB, 15001), 5)) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: body\r\nContent-Length: 8\r\n\r\n")
        for _ in range(8):
            time.sleep(0.25)
            connection.sendall(b"x")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("name", ["stream", "stream-hop"])
@pytest.mark.parametrize("chunked", [True, False])
def test_a_stream_leaves_the_connection_good(world, name, chunked):
    """That its pieces go on as they come is in the behaviour tables."""
    framing = "Transfer-Encoding: chunked" if chunked else "Content-Length: 9"
    pieces = [b"3\r\nabc\r\n"] * 3 + [b"0\r\n\r\n"] if chunked else [b"abc"] * 3
    with closing(socket.create_connection((WEB, 15001), 5)) as connection:
        connection.sendall(f"POST / HTTP/1.1\r\nHost: {name}\r\n{framing}\r\n\r\n".encode())
        for piece in pieces:
            time.sleep(0.05)
            connection.sendall(piece)
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"Connection: close" not in answer
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert [len(seen.body) for seen in world.behind.seen] == [9, 0]


def early(application: socket.socket, seen: list[float]) -> None:
    """Answers as soon as the head is there, and notes when pieces of bodies come."""
    with suppress(OSError):
        while True:
            connection, _ = application.accept()
            threading.Thread(target=_early, args=(connection, seen), daemon=True).start()


def _early(connection: socket.socket, seen: list[float]) -> None:
    with suppress(OSError), connection:
        while data := connection.recv(65536):
            seen.append(time.monotonic())
            if b"\r\n\r\n" in data:
                connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")


@pytest.mark.parametrize("chunked", [True, False])
def test_an_early_answer_spoils_no_connection(world, tmp_path, chunked):
    """What an application did not want to read is never taken for the next request, nor thrown away with it."""
    world.behind.stop()
    seen: list[float] = []
    listening = socket.create_server((HOP, 8080))
    threading.Thread(target=early, args=(listening, seen), daemon=True).start()
    framing = "Transfer-Encoding: chunked" if chunked else "Content-Length: 300000"
    body = (b"30d40\r\n" + b"x" * 200_000 + b"\r\n") if chunked else b"x" * 200_000
    try:
        for _ in range(5):
            with closing(socket.create_connection((WEB, 15001), 5)) as connection:
                connection.sendall(f"POST / HTTP/1.1\r\nHost: stream\r\n{framing}\r\n\r\n".encode() + body)
                answer = connection.recv(65536)
                assert answer.startswith(b"HTTP/1.1 413 ")
                assert b"\r\nConnection: close\r\n" in answer
            started = time.monotonic()
            assert request(WEB, host="stream").status == 413
            assert time.monotonic() - started < LATE
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        world.behind = App(HOP)


def test_it_starts_again_after_a_kill(world, tmp_path):
    """The socket that the killed one left behind is no hindrance, and a living one's is left alone."""
    moved = sidecar(
        "again",
        ir.Proxy.NGINX,
        address="127.62.2.5",
        virtual_hosts=(host("reset", "one", policy(2, RESET)),),
        clusters=(outside("one", (V1, 8080, 1)),),
    )
    signer = new_authority()
    with running(moved, tmp_path / "again", signer) as killed:
        time.sleep(0.2)  # the workers ask to end with their master a little after they were made
        killed.process.kill()
        killed.process.wait()
        with suppress(ConnectionRefusedError):
            while True:
                socket.create_connection(("127.62.2.5", 15000)).close()
                time.sleep(0.02)
        assert (tmp_path / "again" / "run" / "tries.sock").exists()
    with running(moved, tmp_path / "again", signer) as again:
        in_turn(world.one, 0, 200)
        assert request("127.62.2.5", host="reset").status == 200
        second = start(moved, tmp_path / "again")
        assert second.wait(10) != 0
        world.one.seen.clear()
        assert request("127.62.2.5", host="reset").status == 200
        assert again.process.poll() is None
