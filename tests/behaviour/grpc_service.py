"""A service as its author writes it, with grpcio; messages are bytes, so that no compiler of protocols is needed."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import grpc

from meshctl.ir import SocketAddress

NAME = "test.Echo"
DETAILS = "no such user: Zoë, 100%"
PAUSE = 0.5
"""Seconds between the messages of `Slowly`."""


@dataclass
class Calls:
    """What the server knows of calls that wait."""

    remaining: list[float] = field(default_factory=list)
    """Seconds that each had left when it came."""
    begun: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    """That the last one was told to stop."""


def _unary(request, context):
    received = dict(context.invocation_metadata())
    context.send_initial_metadata((("x-head", received.get("x-ask", "")),))
    context.set_trailing_metadata((("x-trailer", received.get("x-ask", "")), ("x-trailer-bin", b"\0\xff")))
    return request


def _identity(_request, context):
    return dict(context.invocation_metadata()).get("x-mesh-identity", "").encode()


def _slowly(request, _context):
    for number in range(3):
        if number:
            time.sleep(PAUSE)
        yield request + str(number).encode()


def _sum(requests, _context):
    return str(sum(len(each) for each in requests)).encode()


def _chat(requests, _context):
    yield from requests


def _fail(_request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, DETAILS)


def _fail_late(request, context):
    yield request
    context.abort(grpc.StatusCode.DATA_LOSS, DETAILS)


def _waiting(calls: Calls):
    def wait(request, context):
        calls.ended.clear()
        calls.remaining.append(context.time_remaining())
        context.add_callback(calls.ended.set)
        calls.begun.set()
        calls.ended.wait(10)
        return request

    return wait


@contextlib.contextmanager
def grpc_server(where: SocketAddress) -> Iterator[Calls]:
    """The service at ``where``, in plain text."""
    calls = Calls()
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(_unary),
        "Identity": grpc.unary_unary_rpc_method_handler(_identity),
        "Slowly": grpc.unary_stream_rpc_method_handler(_slowly),
        "Sum": grpc.stream_unary_rpc_method_handler(_sum),
        "Chat": grpc.stream_stream_rpc_method_handler(_chat),
        "Fail": grpc.unary_unary_rpc_method_handler(_fail),
        "FailLate": grpc.unary_stream_rpc_method_handler(_fail_late),
        "Wait": grpc.unary_unary_rpc_method_handler(_waiting(calls)),
    }
    server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(NAME, handlers),))
    server.add_insecure_port(str(where))
    server.start()
    try:
        yield calls
    finally:
        server.stop(0).wait(5)
