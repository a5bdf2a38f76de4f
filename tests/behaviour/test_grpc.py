"""gRPC as its users know it, through two sidecars: grpcio on both sides, all kinds of calls, deadlines, who hangs up."""

from __future__ import annotations

import queue
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from meshctl.ir import Proxy, SocketAddress
from tests.behaviour.grpc_service import DETAILS, NAME, PAUSE, grpc_server
from tests.behaviour.tables import parse_table
from tests.behaviour.test_tables import PAIRS, tried
from tests.behaviour.world import running

PORT = 9090
LIMIT = 10
TABLE = parse_table(
    "grpc_service",
    {
        "features": ["gRPC applications", "local ports"],
        "dead": ["server/1", "streams/1"],
        "spec": {
            "services": {
                "client": {
                    "port": 8080,
                    "endpoints": [{"address": "127.50.0.1"}],
                    "calls": {"server": {"localPort": 16001}, "streams": {"localPort": 16002}},
                },
                "server": {"protocol": "grpc", "port": PORT, "endpoints": [{"address": "127.50.0.11"}]},
                "streams": {
                    "protocol": "grpc",
                    "port": PORT,
                    "endpoints": [{"address": "127.50.0.12"}],
                    "streaming": True,
                },
            }
        },
        "requests": [],
    },
)


def method(channel, name, kind="unary_unary"):
    return getattr(channel, kind)(f"/{NAME}/{name}", lambda sent: sent, lambda received: received)


def unary(channel, _calls):
    answer, call = method(channel, "Unary").with_call(b"hello", LIMIT, (("x-ask", "a, b"),))
    assert answer == b"hello"
    assert ("x-head", "a, b") in call.initial_metadata()
    trailing = call.trailing_metadata()
    assert ("x-trailer", "a, b") in trailing
    assert ("x-trailer-bin", b"\0\xff") in trailing


def identity(channel, _calls):
    claimed = (("x-mesh-identity", "spiffe://test.example/other"),)
    assert method(channel, "Identity")(b"", LIMIT, claimed) == b"spiffe://test.example/client"


def a_large_message(channel, _calls):
    assert method(channel, "Unary")(b"x" * 3_000_000, LIMIT) == b"x" * 3_000_000


def a_compressed_message(channel, _calls):
    answer = method(channel, "Unary")(b"x" * 100_000, LIMIT, compression=grpc.Compression.Gzip)
    assert answer == b"x" * 100_000


def messages_as_they_come(channel, _calls):
    began = time.monotonic()
    came = [
        (message, time.monotonic() - began)
        for message in method(channel, "Slowly", "unary_stream")(b"m", LIMIT)
    ]
    assert [message for message, _ in came] == [b"m0", b"m1", b"m2"]
    times = [after for _, after in came]
    # They are said over two pauses; a machine under load may be late with the first.
    assert times[2] - times[0] > PAUSE, times


def a_stream_of_requests(channel, _calls):
    pieces = (b"x" * 10_000 for _ in range(50))
    assert method(channel, "Sum", "stream_unary")(pieces, LIMIT) == b"500000"


def question_and_answer(channel, _calls):
    """Each message waits for the answer to the one before: nothing on the way may wait for more."""
    questions: queue.Queue[bytes | None] = queue.Queue()
    answers = method(channel, "Chat", "stream_stream")(iter(questions.get, None), LIMIT)
    for number in range(20):
        questions.put(str(number).encode())
        assert next(answers) == str(number).encode()
    questions.put(None)
    assert list(answers) == []


def an_error(channel, _calls):
    with pytest.raises(grpc.RpcError) as raised:
        method(channel, "Fail")(b"", LIMIT)
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert raised.value.details() == DETAILS


def an_error_behind_a_message(channel, _calls):
    answers = method(channel, "FailLate", "unary_stream")(b"m", LIMIT)
    assert next(answers) == b"m"
    with pytest.raises(grpc.RpcError) as raised:
        next(answers)
    assert raised.value.code() is grpc.StatusCode.DATA_LOSS
    assert raised.value.details() == DETAILS


def an_unknown_method(channel, _calls):
    with pytest.raises(grpc.RpcError) as raised:
        method(channel, "Nothing")(b"", LIMIT)
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


def a_deadline(channel, calls):
    with pytest.raises(grpc.RpcError) as raised:
        method(channel, "Wait")(b"", 0.6)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert 0 < calls.remaining[-1] <= 0.61, calls.remaining  # grpcio rounds up
    assert calls.ended.wait(2), "the server works on for nobody"


def who_hangs_up(channel, calls):
    calls.begun.clear()
    future = method(channel, "Wait").future(b"", LIMIT)
    assert calls.begun.wait(LIMIT)
    future.cancel()
    assert calls.ended.wait(2), "the server works on for nobody"


def many_at_once(channel, _calls):
    with ThreadPoolExecutor(10) as pool:
        answers = pool.map(lambda number: method(channel, "Unary")(b"%d" % number, LIMIT), range(100))
    assert list(answers) == [b"%d" % number for number in range(100)]


CALLS = [
    unary,
    identity,
    a_large_message,
    a_compressed_message,
    a_stream_of_requests,
    an_error,
    an_error_behind_a_message,
    an_unknown_method,
    a_deadline,
    who_hangs_up,
    many_at_once,
]
STREAMS = [messages_as_they_come, question_and_answer, a_stream_of_requests, a_deadline, who_hangs_up]
"""For a service that says `streaming: true`."""


def faults(made, where, service, calls):
    """What goes wrong over one address of the caller's sidecar."""
    # A channel of its own each, for grpcio shares connections of channels that look alike.
    options = [("grpc.default_authority", service), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(str(where), options) as channel:
        for call in made:
            try:
                call(channel, calls)
            except (AssertionError, grpc.RpcError) as error:
                yield f"{call.__name__} of {service} at {where.port}: {error!r}"


@pytest.mark.parametrize(
    ("caller", "callee"),
    [pytest.param(*pair, id=f"{pair[0]}->{pair[1]}") for pair in PAIRS if tried(TABLE, *pair)],
)
def test_calls_through_two_sidecars(caller: Proxy, callee: Proxy, tmp_path):
    with running(TABLE, caller, callee, tmp_path) as world:
        client = world.sidecar("client/1")
        found = []
        for service, made, local in (("server", CALLS, 0), ("streams", STREAMS, 1)):
            with grpc_server(SocketAddress(world.addresses[f"{service}/1"], PORT)) as calls:
                for where in (client.outbound.bind, client.locals[local].bind):
                    found += faults(made, where, service, calls)
    assert not found, "\n".join(found)
