"""What else than HTTP/1.1 the echo application speaks, heard with the libraries that clients of it use."""

from __future__ import annotations

import contextlib
import http.client
import json
import sys

import grpc
import pytest
from websockets.sync.client import connect

from meshctl.ir import Protocol, SocketAddress
from meshctl.live.echo import Application
from meshctl.live.processes import ProcessGroup, Program
from meshctl.live.sidecars import await_open
from tests.behaviour.http2 import Http2Connection
from tests.behaviour.tables import parse_table
from tests.turns import turn

H2C = SocketAddress("127.50.12.1", 8080)
PLAIN = SocketAddress("127.50.12.2", 8080)
CONTROL = SocketAddress("127.50.12.3", 8080)
# Tests of two workers would share the addresses.
pytestmark = pytest.mark.xdist_group("echo")


@pytest.fixture(scope="module", autouse=True)
def echo(tmp_path_factory):
    applications = (f"h2c:{H2C}=catalog/v1", f"{PLAIN}=web/v1")
    argv = (sys.executable, "-m", "meshctl.live.echo", *applications, "--control", str(CONTROL))
    with turn("echo"), ProcessGroup() as group:
        await_open(CONTROL, group.start(Program("echo", argv, tmp_path_factory.mktemp("echo"))))
        yield


def ask(**written):
    document = {"features": [], "spec": {}, "requests": [{"name": "a", "http": 2, "expect": {}} | written]}
    with Http2Connection(H2C, None, "") as connection:
        return connection.ask(parse_table("one", document).requests[0])


@pytest.mark.parametrize(
    ("text", "protocol"),
    [
        ("tcp:127.0.0.1:80=a/b", Protocol.TCP),
        ("h2c:127.0.0.1:80=a/b", Protocol.HTTP2),
        ("127.0.0.1:80=a/b", Protocol.HTTP),
    ],
)
def test_an_application_is_written_as_it_is_read(text, protocol):
    application = Application.parse(text)
    assert (application.protocol, str(application)) == (protocol, text)


def test_grpc_is_written_as_what_it_runs_on():
    assert str(Application(H2C, "a", "b", Protocol.GRPC)) == f"h2c:{H2C}=a/b"


def test_http2_answers_what_it_saw():
    answer = ask(method="POST", host="catalog", target="/a?b", headers={"x-a": "1"}, body="abc")
    seen = answer.document
    assert (answer.status, seen["protocol"], seen["method"], seen["target"]) == (
        200,
        "HTTP/2",
        "POST",
        "/a?b",
    )
    assert ["x-a", "1"] in seen["headers"]
    assert ["host", "catalog"] in seen["headers"]
    assert seen["body"]["length"] == 3


def test_http2_obeys_orders():
    answer = ask(
        orders={"status": 418, "body": 100_000, "headers": '{"x-b": "1"}', "trailers": '{"x-t": "2"}'}
    )
    assert (answer.status, len(answer.body), answer.trailers) == (418, 100_000, [("x-t", "2")])
    assert answer.values("x-b") == ["1"]


def test_http2_breaks_off_within():
    answer = ask(orders={"close": "mid-body", "body": 1000})
    assert (answer.status, answer.cut, len(answer.body)) == (200, True, 500)


def test_http2_is_not_spoken_by_itself_to_http1():
    connection = http.client.HTTPConnection(H2C.address, H2C.port, timeout=5)
    with contextlib.closing(connection):
        connection.request("GET", "/")
        with pytest.raises((http.client.HTTPException, OSError)):
            connection.getresponse()


def test_a_grpc_call_comes_back_with_its_status():
    answer = ask(grpc="hello", target="/a.B/C")
    assert answer.body[5:] == b"hello"
    assert answer.trailers == [("grpc-status", "0")]


def test_a_grpc_error_is_a_head_alone():
    answer = ask(grpc="hello", orders={"grpc-status": 5})
    assert (answer.values("grpc-status"), answer.body, answer.trailers) == (["5"], b"", [])


def test_grpcio_understands_it():
    with grpc.insecure_channel(str(H2C)) as channel:
        chat = channel.stream_stream("/a.B/C", bytes, bytes)
        assert list(chat(iter([b"a", b"b" * 200_000]), timeout=5)) == [b"a", b"b" * 200_000]
        check = channel.unary_unary("/grpc.health.v1.Health/Check", bytes, bytes)
        assert check(b"", timeout=5) == b"\x08\x01"


def test_who_hangs_up_is_seen():
    orders = (("x-echo-delay", "5s"), ("x-echo-id", "gone"))
    with grpc.insecure_channel(str(H2C)) as channel:
        wait = channel.unary_unary("/a.B/C", bytes, bytes)
        with pytest.raises(grpc.RpcError):
            wait(b"", timeout=0.2, metadata=orders)
    connection = http.client.HTTPConnection(CONTROL.address, CONTROL.port, timeout=5)
    with contextlib.closing(connection):
        connection.request("GET", "/__echo/hits?id=gone")
        assert [each["end"] for each in json.loads(connection.getresponse().read())["seen"]] == ["gone"]


def test_websocket_messages_come_back():
    with connect(f"ws://{PLAIN}/chat", proxy=None) as client:
        for message in ("", "zoë", b"\0\xff", b"x" * 70_000):
            client.send(message)
            assert client.recv(5) == message
        assert client.ping().wait(5)
