"""A path of two hops on each proxy: how often one request comes to the application at its end.

The application between forwards what it gets and hands on the answer, as applications do and the echo ones do not.
"""

from __future__ import annotations

import contextlib
import http.client
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from meshctl import ir, simulate
from meshctl.live.processes import ProcessGroup
from meshctl.live.sidecars import Bundle, start
from meshctl.simulate import Asked
from tests.behaviour.world import APPLICATION_PORT, DOMAIN, TRUST_DOMAIN, build, network

ANSWERS = {"attempts": 2, "retryOn": ["gateway-error"]}
STATUS = {"attempts": 1, "retryOn": [503]}
UNSEEN = {"attempts": 3, "retryOn": ["connect-failure"]}


def spec(proxy, net):
    def service(last, **others):
        return {"port": APPLICATION_PORT, "endpoints": [{"address": f"{net}{last}"}], **others}

    mesh = {"name": "test", "domain": DOMAIN, "trustDomain": TRUST_DOMAIN, "bind": "endpoint", "proxy": proxy}
    return {
        "apiVersion": "meshctl.dev/v1",
        "mesh": mesh,
        "services": {
            "client": service(1, calls={"middle": {}}),
            "middle": service(11, calls={"last": {}, "deaf": {}}, retries=ANSWERS),
            "last": service(21, retries=STATUS),
            "deaf": service(31, retries=UNSEEN),
        },
    }


@dataclass
class Application(ThreadingHTTPServer):
    """Answers 503; with ``onward`` what the service that the path names answers, through that sidecar."""

    where: ir.SocketAddress
    onward: ir.SocketAddress | None = None
    got: int = 0
    daemon_threads = True

    def __post_init__(self):
        super().__init__((self.where.address, self.where.port), Handler)

    __hash__ = object.__hash__


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        assert isinstance(self.server, Application)
        self.server.got += 1
        self.rfile.read(int(self.headers.get("content-length", "0")))
        onward = self.server.onward
        self.send_response(asked(onward, self.command, self.path[1:], "/") if onward else 503)
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_POST = answer  # noqa: N815 - the names that http.server calls

    def log_message(self, *_):
        pass


def asked(sidecar, method, host, target):
    """The status that the application behind ``sidecar`` gets."""
    connection = http.client.HTTPConnection(sidecar.address, sidecar.port, timeout=20)
    with contextlib.closing(connection):
        connection.request(method, target, headers={"host": host}, body=b"" if method == "POST" else None)
        return connection.getresponse().status


@contextlib.contextmanager
def path(folder, proxy):
    """The mesh, the caller's sidecar, and the applications by service."""
    with network() as net, ProcessGroup(lambda *_: None) as group, contextlib.ExitStack() as stack:
        mesh, out = build(spec(proxy, net), folder)
        own = {each.service: each for each in mesh.sidecars}
        applications = {
            name: Application(ir.SocketAddress(f"{net}{last}", APPLICATION_PORT))
            for name, last in (("middle", 11), ("last", 21), ("deaf", 31))
        }
        applications["middle"].onward = own["middle"].outbound.bind
        for each in applications.values():
            stack.enter_context(each)
            threading.Thread(target=each.serve_forever, args=(0.05,), daemon=True).start()
            stack.callback(each.shutdown)
        start([Bundle(each, out / each.service / each.instance) for each in mesh.sidecars], group)
        yield mesh, own["client"].outbound.bind, applications


ROWS = [("GET", "last", 3, 6), ("POST", "last", 1, 1), ("GET", "deaf", 3, 3), ("POST", "deaf", 1, 1)]


@pytest.mark.parametrize("proxy", ir.Proxy)
def test_tries_multiply_along_a_path_as_often_as_is_told(proxy, tmp_path):
    seen, told = {}, {}
    with path(tmp_path, proxy) as (mesh, client, applications):
        for method, end, *_ in ROWS:
            for each in applications.values():
                each.got = 0
            assert asked(client, method, "middle", f"/{end}") == 503
            seen[method, end] = [applications["middle"].got, applications[end].got]
            first = Asked(method, f"http://middle/{end}")
            found = simulate.explain_path(mesh, "client", first, [Asked(method, f"http://{end}/")])
            told[method, end] = [each.received for each in found.reaches]
    assert seen == told == {(method, end): counts for method, end, *counts in ROWS}
