"""Endpoints that NGINX asks how they are: over mutual TLS by HTTP and gRPC, and externals by TCP too."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from datetime import timedelta
from typing import Any

import grpc
import pytest
from msgspec import structs

from meshctl import ir
from meshctl.ir import HealthCheckKind
from tests.proxies.nginx_fixtures import App, Handler, new_authority, request, running, wait_ready
from tests.sidecars import NO_RETRIES, WRITTEN, cluster, identity, route, sidecar, virtual_host

pytestmark = pytest.mark.xdist_group("nginx-health-checks")

NETWORK = f"127.73.{os.getpid() % 250 + 1}"
WEB, ONE, TWO, SPARE, OUTSIDE, BARE = (f"{NETWORK}.{number}" for number in (1, 2, 3, 4, 5, 6))
INTERVAL = 0.2


def check(kind: HealthCheckKind, path: str = "", host: str = "catalog", **changes) -> ir.HealthCheck:
    made = ir.HealthCheck(
        kind,
        path,
        host,
        interval=timedelta(seconds=INTERVAL),
        timeout=timedelta(milliseconds=600),
        unhealthy_threshold=2,
        healthy_threshold=3,
        at=WRITTEN,
    )
    return structs.replace(made, **changes)


HTTP = check(HealthCheckKind.HTTP, "/healthz?deep=1")
CATALOG = structs.replace(cluster("catalog", (ONE, 15006, 1), (TWO, 15006, 1)), health_check=HTTP)
LEVELS = structs.replace(
    CATALOG,
    name="catalog.levels",
    endpoints=(*CATALOG.endpoints, structs.replace(
        CATALOG.endpoints[0], socket=ir.SocketAddress(SPARE, 15006), priority=1)),
)  # fmt: skip
PLAIN = structs.replace(
    cluster("plain", (OUTSIDE, 8080, 1)),
    identity=None,
    origin=ir.Origin(None),
    health_check=check(HealthCheckKind.HTTP, "/", "api.example"),
)
STREAMS = structs.replace(
    cluster("streams", (BARE, 8080, 1), (OUTSIDE, 8080, 1)),
    identity=None,
    origin=ir.Origin(None),
    health_check=check(HealthCheckKind.TCP),
)
RPC = structs.replace(
    cluster("rpc", (ONE, 15007, 1), (TWO, 15007, 1)),
    identity=identity("catalog"),
    protocol=ir.Protocol.GRPC,
    health_check=check(HealthCheckKind.GRPC, host="rpc"),
)
CLUSTERS = (CATALOG, LEVELS, PLAIN, STREAMS, RPC)


class Rpc:
    """A gRPC server on ``address:8090`` that answers every call with ``status`` of grpc.health.v1."""

    def __init__(self, address: str) -> None:
        self.status = b"\x08\x01"
        self.asked: list[str] = []
        self._server = grpc.server(ThreadPoolExecutor(8))
        self._server.add_generic_rpc_handlers((self,))
        self._server.add_insecure_port(f"{address}:8090")
        self._server.start()

    def service(self, details: Any) -> Any:
        self.asked.append(details.method)
        return grpc.unary_unary_rpc_method_handler(self.answer)

    def answer(self, _: bytes, context: Any) -> bytes:
        if not self.status:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "")
        return self.status

    def stop(self) -> None:
        self._server.stop(None).wait()


def rpc_sidecar(address: str) -> ir.Sidecar:
    """A second sidecar on the same address, of a service that speaks gRPC."""
    made = sidecar("catalog", ir.Proxy.NGINX, address=address, app_port=8090, callers=("web",))
    assert made.inbound
    return structs.replace(
        made,
        inbound=structs.replace(
            made.inbound, binds=(ir.SocketAddress(address, 15007),), protocol=ir.Protocol.GRPC
        ),
        outbound=structs.replace(made.outbound, binds=(ir.SocketAddress(address, 15002),)),
        admin=ir.AdminListener(ir.SocketAddress(address, 15010)),
    )


class World:
    def __init__(self, folder, stack: ExitStack) -> None:
        self.signer = new_authority()
        self.apps = {each: App(each) for each in (ONE, TWO, SPARE, OUTSIDE)}
        for app in self.apps.values():
            stack.callback(app.stop)
            app.answer = self.healthy
        made = sidecar(
            "web",
            ir.Proxy.NGINX,
            address=WEB,
            virtual_hosts=tuple(
                virtual_host(each.name, route(each.name, (each.name, 1), retries=NO_RETRIES))
                for each in CLUSTERS
            ),
            clusters=CLUSTERS,
        )
        self.callees = {}
        for address in (ONE, TWO, SPARE):
            callee = sidecar("catalog", ir.Proxy.NGINX, address=address, callers=("web",))
            self.callees[address] = stack.enter_context(running(callee, folder / address, self.signer))
        self.rpc = {address: Rpc(address) for address in (ONE, TWO)}
        for address in (ONE, TWO):
            stack.callback(self.rpc[address].stop)
            made_rpc = rpc_sidecar(address)
            stack.enter_context(running(made_rpc, folder / f"{address}-rpc", self.signer))
        self.web = stack.enter_context(running(made, folder / "web", self.signer))

    def healthy(self, handler: Handler) -> None:
        handler.reply(200, handler.server.app.address.encode())  # type: ignore[attr-defined]

    def sick(self, handler: Handler) -> None:
        """Only when it is asked how it is."""
        if handler.path.startswith("/healthz"):
            handler.reply(503)
        else:
            self.healthy(handler)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with ExitStack() as stack:
        made = World(tmp_path_factory.mktemp("nginx-checks"), stack)
        yield made
        assert not made.web.errors()


@pytest.fixture(autouse=True)
def answers(world):
    for each in world.apps.values():
        each.answer = world.healthy
    until("catalog", {ONE, TWO})
    until("catalog.levels", {ONE, TWO})


def ask(name: str):
    return request(WEB, host=name)


def who(name: str, count: int = 6) -> set[str]:
    answers = [ask(name) for _ in range(count)]
    return {each.body.decode() if each.status == 200 else str(each.status) for each in answers}


def until(name: str, wanted: set[str], within: float = 4) -> float:
    """Seconds until nobody but these answers."""
    began = time.monotonic()
    while who(name) != wanted:
        assert time.monotonic() < began + within, (name, who(name), wanted)
        time.sleep(0.02)
    return time.monotonic() - began


def checks_of(app: App) -> list[dict[str, str]]:
    return [dict(each.headers) for each in app.seen if each.target.startswith("/healthz")]


def test_who_says_that_it_is_sick_is_left_alone_until_it_is_well(world):
    world.apps[ONE].answer = world.sick
    assert until("catalog", {TWO}) > INTERVAL / 2
    time.sleep(0.5)
    assert who("catalog") == {TWO}
    world.apps[ONE].answer = world.healthy
    assert until("catalog", {ONE, TWO}) > 1.5 * INTERVAL


def test_one_bad_answer_is_none(world):
    app = world.apps[ONE]
    bad = iter([True])

    def once(handler: Handler) -> None:
        if handler.path.startswith("/healthz") and next(bad, False):
            handler.reply(500)
        else:
            world.healthy(handler)

    app.answer = once
    ends = time.monotonic() + 1
    while time.monotonic() < ends:
        assert who("catalog", 4) == {ONE, TWO}


def test_a_slow_answer_is_a_failure(world):
    def slow(handler: Handler) -> None:
        if handler.path.startswith("/healthz"):
            time.sleep(1.2)
        world.healthy(handler)

    world.apps[TWO].answer = slow
    until("catalog", {ONE})


def test_a_question_goes_the_way_that_requests_go_once_in_an_interval(world):
    app = world.apps[ONE]
    app.seen.clear()
    time.sleep(2)
    found = checks_of(app)
    # Two clusters ask.
    assert 2 * 8 <= len(found) <= 2 * 11
    one = found[0]
    assert one["Host"] == "catalog"
    assert one["x-mesh-identity"] == "spiffe://shop.example/web"
    assert {name.lower() for name in one} <= {"host", "x-mesh-identity", "connection"}
    assert app.seen[0].target == "/healthz?deep=1"


def test_a_dead_application_is_found_by_its_sidecar(world):
    world.apps[TWO].stop()
    try:
        until("catalog", {ONE})
    finally:
        world.apps[TWO] = App(TWO)
        world.apps[TWO].answer = world.healthy
    until("catalog", {ONE, TWO})


def test_nobody_left_is_503_at_once_and_the_next_level_takes_over(world):
    for each in (ONE, TWO):
        world.apps[each].answer = world.sick
    until("catalog", {"503"})
    assert ask("catalog").seconds < 0.3
    until("catalog.levels", {SPARE})


def test_no_line_is_written_for_a_question(world):
    time.sleep(0.2)
    before = len(world.web.log())
    time.sleep(0.6)
    assert len(world.web.log()) == before


def test_an_external_is_asked_in_plain(world):
    app = world.apps[OUTSIDE]
    app.seen.clear()
    time.sleep(0.5)
    assert {each.target for each in app.seen} == {"/"}
    assert app.seen[0].header("host") == ["api.example"]
    assert not [name for name, _ in app.seen[0].headers if name.lower().startswith("x-mesh")]
    app.answer = lambda handler: handler.reply(404)
    until("plain", {"503"})


def test_a_grpc_server_says_that_it_is_serving(world):
    one, two = world.rpc[ONE], world.rpc[TWO]
    time.sleep(0.5)
    assert set(one.asked) == {"/grpc.health.v1.Health/Check"}
    reached("rpc", one, two)
    for status in (b"\x08\x02", b"", b"\x08\x00"):
        one.status = status
        time.sleep(4 * INTERVAL)
        reached("rpc", two)
        one.status = b"\x08\x01"
        time.sleep(6 * INTERVAL)
        reached("rpc", one, two)


def reached(name: str, *wanted: Rpc) -> None:
    """Who gets requests for a path that no check asks for, by HTTP/1.1 as an application may."""
    for each in wanted:
        each.asked.clear()
    for _ in range(6):
        headers = [("content-type", "application/grpc"), ("te", "trailers")]
        request(WEB, "/x.Y/Z", method="POST", host=name, headers=headers, body=b"\0\0\0\0\0")
    found = [each for each in wanted if "/x.Y/Z" in each.asked]
    assert found == list(wanted)
    assert sum(each.asked.count("/x.Y/Z") for each in wanted) == 6


def test_an_external_that_takes_no_connection_is_left_alone(world):
    until("streams", {OUTSIDE})
    with closing(socket.create_server((BARE, 8080))) as server:
        threading.Thread(target=accept_and_answer, args=(server,), daemon=True).start()
        until("streams", {OUTSIDE, "bare"})
    until("streams", {OUTSIDE})


def accept_and_answer(server: socket.socket) -> None:
    with suppress(OSError):
        while True:
            connection, _ = server.accept()
            threading.Thread(target=answer, args=(connection,), daemon=True).start()


def answer(connection: socket.socket) -> None:
    with closing(connection):
        connection.settimeout(2)
        with suppress(OSError):
            if connection.recv(4096):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbare")


def test_what_is_known_outlives_a_reload_and_one_worker_asks(world):
    world.apps[ONE].answer = world.sick
    until("catalog", {TWO})
    master = world.web.process.pid
    world.web.process.send_signal(signal.SIGHUP)
    ends = time.monotonic() + 1.5
    found: Counter[str] = Counter()
    while time.monotonic() < ends:
        found.update(who("catalog", 2))
    assert set(found) == {TWO}
    assert world.web.process.pid == master
    world.apps[TWO].seen.clear()
    time.sleep(1)
    assert len(checks_of(world.apps[TWO])) <= 2 * 6
    wait_ready(world.web)
