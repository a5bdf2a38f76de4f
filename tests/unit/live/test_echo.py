"""The echo application, spoken to over a bare socket: what it says must be what was sent."""

import contextlib
import json
import socket
import subprocess
import sys
import time

import pytest

from meshctl.ir import SocketAddress
from meshctl.live.echo import Application
from meshctl.live.processes import ProcessGroup, Program
from meshctl.live.sidecars import await_open
from tests.turns import turn

V1 = ("127.50.11.1", 8080)
V2 = ("127.50.11.2", 8080)
# The instances share addresses, so these tests take turns, also with another run on the machine.
pytestmark = pytest.mark.xdist_group("echo")
CONTROL = ("127.50.11.3", 8080)
STREAM = ("127.50.11.4", 5432)


@pytest.fixture(scope="module", autouse=True)
def echo(tmp_path_factory):
    applications = (
        "127.50.11.1:8080=catalog/v1",
        "127.50.11.2:8080=catalog/v2",
        "tcp:127.50.11.4:5432=ledger/main",
    )
    argv = (sys.executable, "-m", "meshctl.live.echo", *applications, "--control", "127.50.11.3:8080")
    with turn("echo"), ProcessGroup() as group:
        process = group.start(Program("echo", argv, tmp_path_factory.mktemp("echo")))
        await_open(SocketAddress(*CONTROL), process)
        yield
    assert process.status == 0


def talk(raw, where=V1, limit=5):
    """Everything that comes back until the other side closes."""
    with socket.create_connection(where, timeout=limit) as connection:
        connection.sendall(raw)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                received += piece
    return received


def get(headers="", target="/", where=V1):
    raw = talk(
        f"GET {target} HTTP/1.1\r\nHost: catalog\r\nConnection: close\r\n{headers}\r\n".encode(), where
    )
    head, _, body = raw.partition(b"\r\n\r\n")
    return (int(head.split()[1]) if head else None), head.decode().lower(), body


def hits(identifier):
    _, _, body = get(target=f"/__echo/hits?id={identifier}", where=CONTROL)
    return json.loads(body)


def test_lines_and_target_come_back_as_they_were_sent():
    _, _, body = get(
        "X-A: 1\r\nx-a:  2 \r\nX_b: \xe9\r\n".encode("latin-1").decode("latin-1"), target="/A//b?q=%2f"
    )
    seen = json.loads(body)
    assert (seen["service"], seen["instance"], seen["method"], seen["target"]) == (
        "catalog",
        "v1",
        "GET",
        "/A//b?q=%2f",
    )
    assert seen["headers"][2:4] == [["X-A", "1"], ["x-a", "2"]]


def test_two_requests_on_one_connection_with_both_framings():
    plain = b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
    chunked = b"POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\nT: 1\r\n\r\n"
    answers = talk(plain + chunked)
    documents = [
        json.loads("{" + part.split("\r\n")[0])
        for part in answers.decode().split("\r\n\r\n{")[1:]
        for part in [part.split("HTTP/1.1")[0]]
    ]
    assert [document["target"] for document in documents] == ["/1", "/2"]
    assert documents[0]["body"] == documents[1]["body"]
    assert documents[0]["body"]["length"] == 3


def test_status_goes_by_attempt_and_hits_are_counted_out_of_band():
    orders = "x-echo-id: by-attempt\r\nx-echo-status: 503,502,200\r\n"
    assert [get(orders)[0] for _ in range(4)] == [503, 502, 200, 200]
    told = hits("by-attempt")
    assert told["hits"] == 4
    assert told["seen"][3]["hit"] == 4
    assert hits("never")["hits"] == 0


def test_orders_may_bind_one_instance_only():
    orders = "x-echo-only: v2\r\nx-echo-status: 503\r\n"
    assert (get(orders)[0], get(orders, where=V2)[0]) == (200, 503)


def test_delay():
    started = time.monotonic()
    get("x-echo-delay: 150ms\r\n")
    assert time.monotonic() - started >= 0.15


@pytest.mark.parametrize(
    ("order", "status", "length"),
    [
        ("before", None, 0),
        ("reset", None, 0),
        ("after-head", 200, 0),
        ("mid-body", 200, 500),
        ("no", 200, 1000),
    ],
)
def test_a_connection_is_cut_where_ordered(order, status, length):
    got, head, body = get(f"x-echo-close: {order}\r\nx-echo-body: 1000\r\n")
    assert (got, len(body)) == (status, length)
    assert status is None or "content-length: 1000" in head


def test_a_body_trickles():
    started = time.monotonic()
    _, _, body = get("x-echo-body: 50\r\nx-echo-trickle: 10/30ms\r\n")
    assert (len(body), time.monotonic() - started >= 0.15) == (50, True)


def test_more_headers_and_chunks():
    _, head, body = get(
        'x-echo-chunked: true\r\nx-echo-body: 3\r\nx-echo-headers: [["X-A", "1"], ["X-A", "2"]]\r\n'
    )
    assert body == b"3\r\nxxx\r\n0\r\n\r\n"
    assert head.count("x-a: ") == 2


def test_head_has_no_body():
    assert talk(b"HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n").endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nx-echo-delay: 5\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ],
)
def test_what_cannot_be_understood_is_answered_400(raw):
    assert talk(raw).startswith(b"HTTP/1.1 400 ")


def test_an_address_in_use_ends_it_with_two():
    done = subprocess.run(
        [sys.executable, "-m", "meshctl.live.echo", "127.50.11.1:8080=a/b"],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 2
    assert "echo:" in done.stderr


def test_a_stream_says_its_name_and_repeats_what_it_hears():
    with socket.create_connection(STREAM, timeout=5) as connection:
        heard = connection.makefile("rb")
        assert heard.readline() == b"ledger/main\n"
        connection.sendall(b"GET / HTTP/1.1\r\n\x00\xff\n")
        assert heard.readline() + heard.readline() == b"GET / HTTP/1.1\r\n\x00\xff\n"
        connection.shutdown(socket.SHUT_WR)
        assert heard.read() == b""


def test_an_argument_is_read_as_it_is_written():
    for text in ("127.0.0.1:80=web/a", "tcp:[::1]:80=db/", "[::1]:80=web/b"):
        assert str(Application.parse(text)) == text


def control(target):
    status, _, body = get(target=target, where=CONTROL)
    return status, json.loads(body)


def ends(identifier):
    """What became of the requests, as soon as none is under way."""
    limit = time.monotonic() + 3
    while time.monotonic() < limit:
        found = [each["end"] for each in control(f"/__echo/hits?id={identifier}")[1]["seen"]]
        if found and None not in found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{identifier} does not end: {found}")


def test_what_came_of_a_request_is_told():
    get("x-echo-id: ends-well\r\n")
    assert ends("ends-well") == ["answered"]


@pytest.mark.parametrize("order", ["x-echo-delay: 30s", "x-echo-body: 90\r\nx-echo-trickle: 1/10s"])
def test_nobody_works_on_for_a_client_that_has_gone(order):
    identifier = f"gone-{len(order)}"
    with socket.create_connection(V1) as connection:
        head = f"GET / HTTP/1.1\r\nHost: catalog\r\nx-echo-id: {identifier}\r\n{order}\r\n\r\n"
        connection.sendall(head.encode())
        time.sleep(0.1)
        assert control(f"/__echo/hits?id={identifier}")[1]["seen"][0]["end"] is None
    assert ends(identifier) == ["gone"]


def test_half_an_upload_is_gone_too():
    with socket.create_connection(V1) as connection:
        connection.sendall(
            b"POST / HTTP/1.1\r\nHost: catalog\r\nx-echo-id: half\r\nContent-Length: 9\r\n\r\nabc"
        )
        time.sleep(0.1)
    assert ends("half") == ["gone"]


def test_standing_orders_hold_where_a_request_has_none():
    assert control("/__echo/orders?instance=catalog/v1&path=/healthz&status=503")[0] == 200
    assert get(target="/healthz?full")[0] == 503
    assert get("x-echo-status: 418\r\n", target="/healthz")[0] == 418
    assert get(target="/other")[0] == 200
    assert get(target="/healthz", where=V2)[0] == 200
    control("/__echo/orders?instance=catalog/v1&path=/healthz")
    assert get(target="/healthz")[0] == 200


def test_standing_orders_for_every_path():
    control("/__echo/orders?instance=catalog/v2&status=500")
    assert (get(where=V2)[0], get(where=V1)[0]) == (500, 200)
    control("/__echo/orders?instance=catalog/v2")
    assert get(where=V2)[0] == 200


def test_an_instance_closes_and_opens_again():
    with socket.create_connection(V2, timeout=2) as kept:
        kept.sendall(b"GET / HTTP/1.1\r\nHost: catalog\r\n\r\n")
        assert kept.recv(1)
        assert control("/__echo/close?instance=catalog/v2")[0] == 200
        with contextlib.suppress(ConnectionResetError):
            while kept.recv(65536):
                pass
        with pytest.raises(ConnectionRefusedError):
            talk(b"", where=V2)
        assert get(where=V1)[0] == 200
        assert control("/__echo/open?instance=catalog/v2")[0] == 200
    assert get(where=V2)[0] == 200


def test_orders_for_nobody_are_no_orders():
    assert control("/__echo/orders?instance=nobody/1&status=500")[0] == 404
