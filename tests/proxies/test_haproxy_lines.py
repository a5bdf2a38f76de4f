"""HAProxy: a line for every request, whatever the load and the length."""

from __future__ import annotations

import os
import socket
import threading

import pytest

from meshctl import ir
from tests import sidecars
from tests.proxies.haproxy_fixtures import Authority, running

pytestmark = pytest.mark.xdist_group("haproxy-lines")

ADDRESS = f"127.62.{os.getpid() % 250 + 1}.21"
CLIENTS, REQUESTS = 8, 2000
"""With two threads that write to one pipe, one or two in 16,000 were lost."""
LONGEST = 58_000
"""A target that HAProxy takes, and whose line is near the longest that it writes."""


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    sidecar = sidecars.sidecar("web", ir.Proxy.HAPROXY, address=ADDRESS)
    with running(sidecar, Authority(), tmp_path_factory.mktemp("lines")) as process:
        yield process


def ask(paths):
    with socket.create_connection((ADDRESS, 15001), timeout=10) as connection:
        reader = connection.makefile("rb")
        for path in paths:
            connection.sendall(b"GET %s HTTP/1.1\r\nHost: nobody\r\n\r\n" % path.encode())
            head = iter(reader.readline, b"\r\n")
            length = [line for line in head if line.lower().startswith(b"content-length")]
            reader.read(int(length[0].split(b":")[1]) if length else 0)


def paths_of(process, count):
    return [line["path"] for line in process.last_log(count)]


def test_no_line_is_lost_while_many_clients_ask(alone):
    def client(number):
        ask(f"/{number}/{each}" for each in range(REQUESTS))

    threads = [threading.Thread(target=client, args=(each,)) for each in range(CLIENTS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    wanted = {f"/{number}/{each}" for number in range(CLIENTS) for each in range(REQUESTS)}
    assert set(paths_of(alone, CLIENTS * REQUESTS)) == wanted


def test_the_longest_target_has_its_line_and_so_has_the_next(alone):
    longest = "/" + "a" * LONGEST
    before = len(alone.log())
    ask([longest, "/next"])

    assert paths_of(alone, before + 2)[before:] == [longest, "/next"]
