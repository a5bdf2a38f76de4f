"""WebSocket through two NGINX sidecars: what changes the protocol, for how long, and what does not."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack, suppress
from datetime import timedelta

import pytest
from msgspec import structs

from meshctl import ir
from tests.proxies.nginx_fixtures import App, new_authority, raw, request, running
from tests.sidecars import WRITTEN, cluster, route, sidecar, virtual_host
from tests.turns import turn

pytestmark = pytest.mark.xdist_group("nginx-websocket")

WEB, ONE, NOBODY = "127.36.4.1", "127.36.4.2", "127.36.4.9"
IDLE = timedelta(seconds=2)
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nsec-websocket-accept: yes\r\n\r\n"
ASK = (
    b"GET /chat?x=1 HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Key: abc\r\n\r\n"
)


def policy(**changes) -> ir.RetryPolicy:
    return ir.RetryPolicy(1, (ir.RetryCondition.CONNECT_FAILURE,), ("GET",), at=WRITTEN, **changes)


HOP = policy(backoff=ir.Backoff(timedelta(milliseconds=10), timedelta(milliseconds=10)))
SECOND = ir.Timeout(timedelta(seconds=1), at=WRITTEN)
HOSTS = (
    virtual_host("plain", route("plain", ("one", 1), timeout=SECOND, retries=policy())),
    virtual_host("hop", route("hop", ("one", 1), timeout=SECOND, retries=HOP)),
    virtual_host("half", route("half", ("half", 1), timeout=SECOND, retries=policy())),
    virtual_host("half-hop", route("half-hop", ("half", 1), timeout=SECOND, retries=HOP)),
    virtual_host("dead", route("dead", ("dead", 1), timeout=SECOND, retries=policy())),
)


def callee(name: str, *endpoints: tuple[str, int, int]) -> ir.Cluster:
    made = cluster(name, *endpoints, idle_timeout=IDLE)
    return structs.replace(made, identity=cluster("one").identity)


class World:
    def __init__(self, folder, stack: ExitStack) -> None:
        signer = new_authority()
        self.app = App(ONE)
        self.ended = threading.Event()
        web = sidecar(
            "web",
            ir.Proxy.NGINX,
            address=WEB,
            virtual_hosts=HOSTS,
            clusters=(
                callee("one", (ONE, 15006, 1)),
                callee("half", (NOBODY, 15006, 1), (ONE, 15006, 1)),
                callee("dead", (NOBODY, 15006, 1)),
            ),
        )
        one = sidecar("one", ir.Proxy.NGINX, address=ONE, callers=("web",))
        self.web = stack.enter_context(running(web, folder / "web", signer))
        self.one = stack.enter_context(running(one, folder / "one", signer))

    def echo(self, handler) -> None:
        """Switch, then give everything back in capitals."""
        handler.connection.sendall(SWITCH)
        handler.close_connection = True
        with suppress(OSError):
            while data := handler.connection.recv(4096):
                handler.connection.sendall(data.upper())
        self.ended.set()


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    with turn("127.36.4"), ExitStack() as stack:
        world = World(tmp_path_factory.mktemp("websocket"), stack)
        yield world
        world.app.stop()
        assert world.web.errors() == world.one.errors() == ""


@pytest.fixture
def world(live):
    live.app.seen.clear()
    live.ended.clear()
    live.app.answer = live.echo
    return live


def connect(host: str, ask: bytes = ASK) -> tuple[socket.socket, bytes]:
    connection = socket.create_connection((WEB, 15001), 5)
    connection.sendall(ask % host.encode())
    head = b""
    while b"\r\n\r\n" not in head:
        part = connection.recv(4096)
        if not part:
            break
        head += part
    return connection, head


@pytest.mark.parametrize("host", ["plain", "hop", "half", "half-hop"])
def test_bytes_pass_both_ways_for_longer_than_the_timeout(world, host):
    connection, head = connect(host)
    with connection:
        assert head.startswith(b"HTTP/1.1 101 ")
        lines = head.lower().split(b"\r\n")
        assert b"upgrade: websocket" in lines
        assert b"connection: upgrade" in lines
        assert b"sec-websocket-accept: yes" in lines
        for _ in range(6):
            connection.sendall(b"hello")
            assert connection.recv(100) == b"HELLO"
            time.sleep(0.5)
    assert world.ended.wait(2)
    (seen,) = world.app.seen
    assert (seen.target, seen.header("upgrade"), seen.header("sec-websocket-key")) == (
        "/chat?x=1",
        ["websocket"],
        ["abc"],
    )
    line = world.web.last_log()[0]
    assert (line["status"], line["route"]) == (101, host)


@pytest.mark.parametrize("host", ["plain", "hop"])
def test_silence_ends_it(world, host):
    connection, head = connect(host)
    with connection:
        assert head.startswith(b"HTTP/1.1 101 ")
        started = time.monotonic()
        assert connection.recv(100) == b""
        assert 1.5 < time.monotonic() - started < 4
    assert world.ended.wait(2)


@pytest.mark.parametrize("host", ["plain", "hop"])
def test_a_handshake_that_takes_too_long_is_answered_504(world, host):
    world.app.answer = lambda handler: time.sleep(1.8)
    started = time.monotonic()
    connection, head = connect(host)
    with connection:
        assert head.startswith(b"HTTP/1.1 504 ")
        assert 0.9 < time.monotonic() - started < 1.6
        assert connection.recv(100) in (b"", b"no answer\n")


@pytest.mark.parametrize("host", ["plain", "hop"])
def test_an_application_may_refuse(world, host):
    world.app.answer = lambda handler: handler.reply(403, b"no")
    connection, head = connect(host)
    with connection:
        assert head.startswith(b"HTTP/1.1 403 ")
        world.app.answer = lambda handler: handler.reply(200, b"late", after=0.7)
        assert head.endswith(b"no") or connection.recv(100) == b"no"
        # What is asked next on that connection is none of the handshake's deadline.
        time.sleep(0.6)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % host.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_nobody_there_is_503(world):
    connection, head = connect("dead")
    with connection:
        assert head.startswith(b"HTTP/1.1 503 ")


@pytest.mark.parametrize(
    "ask",
    [
        ASK.replace(b"Upgrade: websocket", b"Upgrade: h2c"),
        ASK.replace(b"keep-alive, Upgrade", b"keep-alive"),
        ASK.replace(b"GET", b"POST", 1),
    ],
)
def test_nothing_else_changes_the_protocol(world, ask):
    world.app.answer = lambda handler: handler.reply(200, b"plain")
    connection, head = connect("plain", ask)
    with connection:
        assert head.startswith(b"HTTP/1.1 200 ")
    (seen,) = world.app.seen
    assert seen.header("upgrade") == []


@pytest.mark.parametrize("host", ["plain", "hop"])
def test_a_switch_that_nobody_asked_for_is_no_answer(world, host):
    answer = raw(WEB, b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % host.encode())
    assert b" 101 " not in answer
    world.app.answer = lambda handler: handler.connection.sendall(SWITCH.replace(b"websocket", b"other", 1))
    connection, head = connect(host)
    with connection:
        assert b" 101 " not in head


def test_an_ordinary_request_is_served_meanwhile(world):
    connection, _ = connect("plain")
    world.app.answer = lambda handler: handler.reply(200, b"plain")
    with connection:
        assert request(WEB, host="plain").status == 200
