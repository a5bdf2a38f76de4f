"""Balancing, levels and ejections of streams on NGINX, by its own means."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import Counter
from contextlib import ExitStack, closing, suppress
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise

import pytest
from msgspec import structs

from meshctl import ir
from meshctl.ir import LoadBalancingPolicy
from tests.proxies.nginx_fixtures import new_authority, running
from tests.sidecars import WRITTEN, cluster, sidecar

pytestmark = pytest.mark.xdist_group("nginx-stream-policies")

NETWORK = f"127.74.{os.getpid() % 250 + 1}"
WEB, ONE, TWO, THREE = (f"{NETWORK}.{number}" for number in (1, 2, 3, 4))
LEAST = ir.LoadBalancing(LoadBalancingPolicy.LEAST_REQUEST, at=WRITTEN)
RANDOM = ir.LoadBalancing(LoadBalancingPolicy.RANDOM, at=WRITTEN)
EJECTION = ir.OutlierDetection(1, timedelta(seconds=1), timedelta(seconds=2), Fraction(1), at=WRITTEN)


def stream(name: str, *endpoints: tuple[str, int], **changes) -> ir.Cluster:
    made = cluster(name, *((address, 9100, 1) for address, _ in endpoints))
    levels = tuple(
        structs.replace(each, priority=priority)
        for each, (_, priority) in zip(made.endpoints, endpoints, strict=True)
    )
    return structs.replace(
        made, endpoints=levels, identity=None, origin=ir.Origin(None), protocol=ir.Protocol.TCP, **changes
    )


CLUSTERS = (
    stream("least", (ONE, 0), (TWO, 0), load_balancing=LEAST),
    stream("random", (ONE, 0), (TWO, 0), load_balancing=RANDOM),
    stream("first", (ONE, 0), (TWO, 1)),
    stream("levels", (THREE, 0), (ONE, 1), (TWO, 2), load_balancing=RANDOM, outlier_detection=EJECTION),
    stream("ejecting", (THREE, 0), (ONE, 0), outlier_detection=EJECTION),
)
PORTS = {each.name: 9200 + number for number, each in enumerate(CLUSTERS)}


class Teller:
    """Says who it is to every connection, and keeps it open until the other side closes."""

    def __init__(self, address: str) -> None:
        self.name = address.encode()
        self.server = socket.create_server((address, 9100))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.server.accept()
                threading.Thread(target=self._tell, args=(connection,), daemon=True).start()

    def _tell(self, connection: socket.socket) -> None:
        with closing(connection), suppress(OSError):
            connection.sendall(self.name)
            connection.recv(1)


@pytest.fixture(scope="module", autouse=True)
def _world(tmp_path_factory):
    made = structs.replace(
        sidecar("web", ir.Proxy.NGINX, address=WEB, clusters=CLUSTERS),
        tcp=tuple(
            ir.TcpListener((ir.SocketAddress(WEB, PORTS[each.name]),), each.name, each.name)
            for each in CLUSTERS
        ),
    )
    with ExitStack() as stack:
        for address in (ONE, TWO):
            stack.enter_context(closing(Teller(address).server))
        stack.enter_context(running(made, tmp_path_factory.mktemp("streams") / "web", new_authority()))
        yield


def ask(name: str) -> tuple[socket.socket, str]:
    connection = socket.create_connection((WEB, PORTS[name]), 5)
    with suppress(OSError):
        return connection, connection.recv(64).decode() or "closed"
    return connection, "closed"


def asked(name: str, count: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for _ in range(count):
        connection, answer = ask(name)
        found[answer] += 1
        connection.close()
        time.sleep(0.01)
    return found


def test_a_connection_goes_where_few_are_open():
    held = [ask("least") for _ in range(4)]
    assert Counter(answer for _, answer in held) == {ONE: 2, TWO: 2}
    for connection, answer in held:
        if answer == ONE:
            connection.close()
    time.sleep(0.2)
    again = [ask("least") for _ in range(2)]
    assert [answer for _, answer in again] == [ONE, ONE]
    for connection, _ in (*held, *again):
        connection.close()


def test_an_endpoint_is_drawn():
    found = asked("random", 200)
    assert 65 < found[ONE] < 135
    # Turns would never be the same twice.
    order = [asked("random", 1) for _ in range(30)]
    assert any(one == other for one, other in pairwise(order))


def test_a_later_level_is_not_asked_where_nobody_is_ever_out():
    assert asked("first", 6) == {ONE: 6}


def test_the_levels_behind_the_first_take_over_while_it_is_out():
    found = asked("levels", 8)
    assert found["closed"] == 1
    assert found[ONE] + found[TWO] == 7


def test_who_takes_no_connection_is_left_alone_for_the_time():
    found = asked("ejecting", 10)
    assert found == {"closed": 1, ONE: 9}
    time.sleep(3.2)
    assert asked("ejecting", 10) == {"closed": 1, ONE: 9}
