"""HTTP/2 and gRPC through two NGINX sidecars, with a real gRPC application and clients of both protocols."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from contextlib import ExitStack, closing
from datetime import timedelta
from fractions import Fraction

import grpc
import h2.connection
import h2.events
import pytest
from msgspec import structs

from meshctl import ir
from tests.proxies.nginx_fixtures import App, new_authority, raw, request, running
from tests.sidecars import WRITTEN, cluster, route, sidecar, virtual_host
from tests.turns import turn

pytestmark = pytest.mark.xdist_group("nginx-http2")

WEB, CALLS, PLAIN, NOBODY, SHUT, DEAD, EDGE = (f"127.36.5.{last}" for last in (1, 2, 3, 9, 4, 5, 6))
ENDS = (h2.events.StreamEnded, h2.events.StreamReset, h2.events.ConnectionTerminated)
SECOND = ir.Timeout(timedelta(seconds=1), at=WRITTEN)
LONG = ir.Timeout(timedelta(seconds=8), at=WRITTEN)
STREAM = {"streaming": True, "timeout": ir.Timeout(timedelta(0))}
BIG = b"x" * 3_000_000


def policy(*conditions: ir.RetryCondition, **changes) -> ir.RetryPolicy:
    return ir.RetryPolicy(
        2, (ir.RetryCondition.CONNECT_FAILURE, *conditions), ("GET",), at=WRITTEN, **changes
    )


PER_TRY = ir.PerTryTimeout(timedelta(milliseconds=400), at=WRITTEN)
HOP = policy(backoff=ir.Backoff(timedelta(milliseconds=10), timedelta(milliseconds=10)))
AGAIN = policy(ir.RetryCondition.PER_TRY_TIMEOUT, per_try_timeout=PER_TRY, non_idempotent=True)


def leads(host: str, backend: str, **changes) -> ir.VirtualHost:
    changes = {"timeout": LONG, "retries": policy(), **changes}
    return virtual_host(host, route(host, (backend, 1), **changes))


HOSTS = (
    leads("plain", "calls"),
    leads("hop", "calls", retries=HOP),
    leads("stream", "calls", **STREAM),
    leads("stream-hop", "calls", retries=HOP, **STREAM),
    leads("quick", "calls", timeout=SECOND),
    leads("quick-hop", "calls", timeout=SECOND, retries=HOP),
    leads("again", "calls", retries=AGAIN),
    leads("half", "half"),
    leads("nobody", "nobody"),
    leads("shut", "shut"),
    leads("dead", "dead"),
    leads("half-dead", "half-dead"),
    leads("half-dead-hop", "half-dead", retries=HOP),
    leads("dead-hop", "dead", retries=HOP),
    leads("body", "calls", body_timeout=ir.BodyTimeout(timedelta(milliseconds=500), at=WRITTEN)),
    leads("http", "http"),
    leads("late", "http", timeout=SECOND),
    leads("moved", "calls", rewrite=ir.Rewrite(path="/echo.Echo/Unary")),
    leads("moved-hop", "calls", retries=HOP, rewrite=ir.Rewrite(path="/echo.Echo/Unary")),
    leads("abort", "calls", fault=ir.Fault(abort=ir.Abort(503, Fraction(1), at=WRITTEN))),
)


def calls_at(name: str, *endpoints: tuple[str, int, int], service: str = "calls") -> ir.Cluster:
    return structs.replace(
        cluster(name, *endpoints), identity=cluster(service).identity, protocol=ir.Protocol.GRPC
    )


def web() -> ir.Sidecar:
    made = sidecar(
        "web",
        ir.Proxy.NGINX,
        address=WEB,
        virtual_hosts=HOSTS,
        clusters=(
            calls_at("calls", (CALLS, 15006, 1)),
            calls_at("half", (NOBODY, 15006, 1), (CALLS, 15006, 1)),
            calls_at("nobody", (NOBODY, 15006, 1)),
            calls_at("shut", (SHUT, 15006, 1), service="shut"),
            calls_at("dead", (DEAD, 15006, 1)),
            calls_at("half-dead", (DEAD, 15006, 1), (CALLS, 15006, 1)),
            cluster("http", (PLAIN, 15006, 1)),
        ),
    )
    return structs.replace(made, outbound=structs.replace(made.outbound, http2=True))


def speaking(service: str, address: str, *callers: str) -> ir.Sidecar:
    made = sidecar(service, ir.Proxy.NGINX, address=address, callers=callers)
    assert made.inbound is not None
    return structs.replace(made, inbound=structs.replace(made.inbound, protocol=ir.Protocol.GRPC))


class Echo(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Gives messages back; what else it does stands in the metadata."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []
        self.cancelled = threading.Event()

    def service(self, details):
        self.seen.append(
            {key: str(value) for key, value in details.invocation_metadata} | {":path": details.method}
        )
        kind = details.method.rpartition("/")[2]
        made = {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Many": grpc.unary_stream_rpc_method_handler(self.many),
            "Both": grpc.stream_stream_rpc_method_handler(self.both),
        }
        return made.get(kind)

    def unary(self, message, context):
        orders = dict(context.invocation_metadata())
        context.add_callback(self.cancelled.set)
        context.set_trailing_metadata((("x-trailer", "yes"),))
        if orders.get("x-slow") and (len(self.seen) == 1 or orders["x-slow"] == "always"):
            time.sleep(3 if orders["x-slow"] == "always" else 0.7)
        if orders.get("x-fail"):
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "as told")
        return message

    def many(self, message, context) -> Iterator[bytes]:
        context.add_callback(self.cancelled.set)
        for number in range(int(message)):
            time.sleep(0.3)
            yield str(number).encode()

    def both(self, messages, context) -> Iterator[bytes]:
        context.add_callback(self.cancelled.set)
        for message in messages:
            yield message.upper()


class World:
    def __init__(self, folder, stack: ExitStack) -> None:
        signer = new_authority()
        self.echo = Echo()
        self.server = grpc.server(futures.ThreadPoolExecutor(16), handlers=(self.echo,), options=OPTIONS)
        self.server.add_insecure_port(f"{CALLS}:8080")
        self.server.start()
        self.app = App(PLAIN)
        self.sidecars = [
            stack.enter_context(running(each, folder / each.admin.bind.address, signer))
            for each in (
                web(),
                speaking("calls", CALLS, "web"),
                speaking("shut", SHUT),
                speaking("calls", DEAD, "web"),
                sidecar("http", ir.Proxy.NGINX, address=PLAIN, callers=("web",)),
            )
        ]


OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    with turn("127.36.5"), ExitStack() as stack:
        world = World(tmp_path_factory.mktemp("http2"), stack)
        yield world
        world.server.stop(0)
        world.app.stop()
        assert [each.errors() for each in world.sidecars] == [""] * 5


@pytest.fixture
def world(live):
    live.echo.seen.clear()
    live.echo.cancelled.clear()
    live.app.seen.clear()
    return live


def channel(host: str):
    return grpc.insecure_channel(
        f"{WEB}:15001", options=(*OPTIONS, ("grpc.default_authority", host), ("grpc.enable_retries", 0))
    )


def call(host: str, message: bytes = b"hello", timeout: float = 6, **metadata: str):
    with channel(host) as it:
        unary = it.unary_unary("/echo.Echo/Unary")
        pairs = tuple((f"x-{key}", value) for key, value in metadata.items())
        answer, ended = unary.with_call(message, timeout=timeout, metadata=pairs)
        return answer, dict(ended.trailing_metadata())


def failure(host: str, **others) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as found:
        call(host, **others)
    return found.value.code(), found.value.details()


@pytest.mark.parametrize(
    "host",
    ["plain", "hop", "stream", "stream-hop", "half", "half-dead", "half-dead-hop", "moved", "moved-hop"],
)
@pytest.mark.parametrize("message", [b"", b"hello", BIG], ids=["empty", "short", "big"])
def test_unary(world, host, message):
    answer, trailers = call(host, message, mine="1")
    assert (answer == message, trailers["x-trailer"]) == (True, "yes")
    (seen,) = world.echo.seen
    assert (seen[":path"], seen["x-mine"]) == ("/echo.Echo/Unary", "1")
    assert seen["x-mesh-identity"] == "spiffe://shop.example/web"
    assert not {"x-mesh-try", "x-mesh-status", "host"} & set(seen)


@pytest.mark.parametrize("host", ["plain", "hop", "stream", "stream-hop"])
def test_a_status_and_a_trailers_only_answer_pass(world, host):
    assert failure(host, fail="1") == (grpc.StatusCode.FAILED_PRECONDITION, "as told")
    with channel(host) as it, pytest.raises(grpc.RpcError) as found:
        it.unary_unary("/echo.Echo/None")(b"", timeout=5)
    assert found.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("host", ["plain", "hop", "stream", "stream-hop"])
def test_a_stream_of_the_server_comes_in_pieces(world, host):
    with channel(host) as it:
        started = time.monotonic()
        times = [time.monotonic() - started for _ in it.unary_stream("/echo.Echo/Many")(b"4", timeout=6)]
    assert len(times) == 4
    assert times[0] < 0.7
    assert times[3] - times[0] > 0.7


@pytest.mark.parametrize("host", ["stream", "stream-hop"])
def test_both_stream(world, host):
    told = threading.Semaphore(0)

    def messages() -> Iterator[bytes]:
        for number in range(5):
            yield b"m%d" % number
            assert told.acquire(timeout=3)

    with channel(host) as it:
        for number, answer in enumerate(it.stream_stream("/echo.Echo/Both")(messages(), timeout=10)):
            assert answer == b"M%d" % number
            told.release()
    assert number == 4


@pytest.mark.parametrize("host", ["plain", "hop", "stream", "stream-hop"])
def test_a_client_that_goes_away_ends_it_at_the_application(world, host):
    with channel(host) as it:
        answers = it.unary_stream("/echo.Echo/Many")(b"50", timeout=20)
        next(answers)
        answers.cancel()
        assert world.echo.cancelled.wait(2)


@pytest.mark.parametrize("host", ["quick", "quick-hop"])
def test_the_timeout_is_answered_in_the_words_of_grpc(world, host):
    started = time.monotonic()
    code, _ = failure(host, slow="always")
    assert code is grpc.StatusCode.UNAVAILABLE
    assert 0.9 < time.monotonic() - started < 1.8
    assert world.echo.cancelled.wait(1)


def test_a_try_that_takes_too_long_is_made_again(world):
    assert call("again", slow="first")[0] == b"hello"
    assert len(world.echo.seen) == 2


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("nobody", grpc.StatusCode.UNAVAILABLE),
        ("dead", grpc.StatusCode.UNAVAILABLE),
        ("dead-hop", grpc.StatusCode.UNAVAILABLE),
        ("shut", grpc.StatusCode.PERMISSION_DENIED),
        ("unknown", grpc.StatusCode.PERMISSION_DENIED),
        ("unknown.example", grpc.StatusCode.UNIMPLEMENTED),
        ("abort", grpc.StatusCode.UNAVAILABLE),
    ],
)
def test_what_sidecars_answer_has_the_shape_of_grpc(world, host, code):
    found, _ = failure(host)
    assert found is code
    plain = request(WEB, host=host)
    assert plain.status != 200
    assert plain.header("grpc-status") == []
    shaped = request(WEB, host=host, method="POST", headers=[("content-type", "application/grpc+proto")])
    assert (shaped.status, shaped.body) == (200, b"")
    assert shaped.header("grpc-status") == [str(code.value[0])]
    assert shaped.header("content-type") == ["application/grpc"]
    if host == "dead":
        (line,) = world.sidecars[3].last_log()
        assert line["status"] == 425


def test_a_path_that_is_not_canonical(world):
    with channel("plain") as it, pytest.raises(grpc.RpcError) as found:
        it.unary_unary("/echo.Echo//Unary")(b"", timeout=5)
    assert found.value.code() is grpc.StatusCode.INTERNAL


def test_http1_to_an_application_of_http2_and_back(world):
    frame = b"\0\0\0\0\5hello"
    for host in ("plain", "hop"):
        with closing(http.client.HTTPConnection(WEB, 15001, timeout=5)) as connection:
            for _ in range(2):
                answer = request(
                    WEB,
                    "/echo.Echo/Unary",
                    host=host,
                    method="POST",
                    headers=[("content-type", "application/grpc"), ("te", "trailers")],
                    body=frame,
                    connection=connection,
                )
                assert (answer.status, answer.body) == (200, frame)
    with channel("http") as it, pytest.raises(grpc.RpcError):
        it.unary_unary("/x")(b"y", timeout=5)
    assert world.app.seen[-1].target == "/x"
    assert request(WEB, "/a?b", host="http").body == b"hello"


@pytest.mark.parametrize("cut", [1, 3, 10, 14, 16])
def test_one_port_takes_what_comes_slowly(world, cut):
    for data in (
        b"GET / HTTP/1.1\r\nHost: http\r\nConnection: close\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
        b"PRI / HTTP/1.1\r\nHost: http\r\nConnection: close\r\n\r\n",
    ):
        with socket.create_connection((WEB, 15001), 5) as connection:
            for at in range(cut):
                connection.sendall(data[at : at + 1])
                time.sleep(0.01)
            connection.sendall(data[cut:])
            assert connection.recv(9).startswith(b"\0\0\x12\4" if b"2.0" in data else b"HTTP/1.1 ")


def test_a_late_body_is_cut_behind_the_look_at_its_first_bytes(world):
    world.app.answer = lambda handler: handler.drip(20, 0.2, chunked=True)
    try:
        started = time.monotonic()
        answer = raw(WEB, b"GET / HTTP/1.1\r\nHost: late\r\n\r\n")
        assert not answer.endswith(b"0\r\n\r\n")
        assert 0.8 < time.monotonic() - started < 1.6
    finally:
        world.app.answer = lambda handler: handler.reply(200, b"hello")


def test_an_upload_that_stands_still_reaches_nobody(world):
    connection = h2.connection.H2Connection()
    with socket.create_connection((WEB, 15001), 5) as sock:
        connection.initiate_connection()
        fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/echo.Echo/Unary"),
            (":authority", "body"),
        ]
        connection.send_headers(1, [*fields, ("content-type", "application/grpc"), ("te", "trailers")])
        connection.send_data(1, b"\0\0\0")
        sock.sendall(connection.data_to_send())
        started, ended = time.monotonic(), False
        while not ended:
            data = sock.recv(4096)
            events = connection.receive_data(data) if data else []
            ended = not data or any(isinstance(each, ENDS) for each in events)
        assert 0.4 < time.monotonic() - started < 2
    time.sleep(0.2)
    assert not world.echo.seen


def test_a_plain_gateway_of_both_protocols_knows_its_port(tmp_path):
    redirect = structs.replace(route("r"), answer=ir.Redirect(302, "", "", 0, "", "/new"))
    made = sidecar(
        "edge",
        ir.Proxy.NGINX,
        address=EDGE,
        inbound=False,
        virtual_hosts=(ir.VirtualHost("edge", ("*",), (redirect,)),),
    )
    outbound = structs.replace(made.outbound, domain="", http2=True)
    with running(structs.replace(made, outbound=outbound), tmp_path / "edge", new_authority()):
        answer = request(EDGE, "/old", host="shop.example")
        assert answer.header("location") == ["http://shop.example:15001/new"]
