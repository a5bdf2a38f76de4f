"""Callees in the mesh that NGINX finds by DNS, with a real name server."""

from __future__ import annotations

import socket
import time
from collections import Counter
from contextlib import ExitStack, suppress
from datetime import timedelta

import pytest
from msgspec import structs

from meshctl import ir
from tests.behaviour.dns import NameServer, name_server
from tests.proxies.nginx_fixtures import Answer, App, new_authority, request, running
from tests.sidecars import cluster, route, sidecar, virtual_host
from tests.turns import turn

pytestmark = pytest.mark.xdist_group("nginx-discovery")

WEB, ONE, TWO, NOBODY, DNS = "127.36.3.1", "127.36.3.2", "127.36.3.3", "127.36.3.9", "127.36.3.53"
RESOLVERS = (ir.SocketAddress("127.36.3.54", 5353), ir.SocketAddress(DNS, 5353))
"""Nobody is at the first."""
STREAMS = (14001, 14002)
REFRESH = 1


def found_by(
    name: str, dns: str, *, srv: bool = False, protocol: ir.Protocol = ir.Protocol.HTTP
) -> ir.Cluster:
    looked_up = ir.DnsName(dns, 0 if srv else 15006, timedelta(seconds=REFRESH), srv=srv)
    return structs.replace(cluster(name), dns=looked_up, protocol=protocol)


def catalog(address: str) -> ir.Sidecar:
    return sidecar("catalog", ir.Proxy.NGINX, address=address, callers=("web",))


def ledger(address: str) -> ir.Sidecar:
    made = sidecar("ledger", ir.Proxy.NGINX, address=address, callers=("web",))
    assert made.inbound is not None
    inbound = structs.replace(
        made.inbound, protocol=ir.Protocol.TCP, binds=(ir.SocketAddress(address, 15016),)
    )
    admin = ir.AdminListener(ir.SocketAddress(address, 15010))
    outbound = structs.replace(made.outbound, binds=(ir.SocketAddress(address, 15011),))
    return structs.replace(made, inbound=inbound, admin=admin, outbound=outbound)


def web() -> ir.Sidecar:
    made = sidecar(
        "web",
        ir.Proxy.NGINX,
        address=WEB,
        virtual_hosts=tuple(
            virtual_host(each, route(each, (f"catalog.{each}", 1)))
            for each in ("plain", "srv", "gone", "half")
        ),
        clusters=(
            found_by("catalog.plain", "catalog.internal"),
            found_by("catalog.srv", "_http._tcp.catalog.internal", srv=True),
            found_by("catalog.gone", "gone.internal"),
            found_by("catalog.half", "half.internal"),
            structs.replace(
                found_by("ledger", "ledger.internal", protocol=ir.Protocol.TCP),
                dns=ir.DnsName("ledger.internal", 15016, timedelta(seconds=REFRESH)),
            ),
        ),
    )
    tcp = ir.TcpListener((ir.SocketAddress(WEB, STREAMS[0]),), "ledger", "ledger")
    return structs.replace(made, resolvers=RESOLVERS, tcp=(tcp,))


def told(address: str) -> Answer:
    return lambda handler: handler.reply(200, address.encode())


class World:
    def __init__(self, folder, stack: ExitStack) -> None:
        signer = new_authority()
        self.apps = {address: App(address) for address in (ONE, TWO)}
        self.dns: NameServer = stack.enter_context(name_server(RESOLVERS[1], folder / "dns", {}, {}))
        self.sidecars = [
            stack.enter_context(running(catalog(ONE), folder / "one", signer)),
            stack.enter_context(running(catalog(TWO), folder / "two", signer)),
            stack.enter_context(running(ledger(ONE), folder / "ledger", signer)),
            stack.enter_context(running(web(), folder / "web", signer)),
        ]
        for address, app in self.apps.items():
            app.answer = told(address)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with turn("127.36.3"), ExitStack() as stack:
        live = World(tmp_path_factory.mktemp("discovery"), stack)
        yield live
        for app in live.apps.values():
            app.stop()
        assert [each.errors() for each in live.sidecars] == [""] * 4


def asked(host: str, count: int = 20) -> Counter[bytes]:
    answers = [request(WEB, host=host) for _ in range(count)]
    return Counter(each.body if each.status == 200 else str(each.status).encode() for each in answers)


def settle() -> None:
    """Until both workers have asked again: once by the first request after the refresh, each."""
    end = time.monotonic() + REFRESH + 1
    while time.monotonic() < end:
        for host in ("plain", "srv", "gone", "half"):
            request(WEB, host=host)
        time.sleep(0.05)


def test_addresses_come_and_go_and_stay_while_dns_is_silent(world):
    assert asked("plain", 2) == {b"503": 2}
    world.dns.tell({"catalog.internal": [ONE, TWO]})
    settle()
    found = asked("plain", 40)
    assert set(found) == {ONE.encode(), TWO.encode()}
    # Each of the two workers takes turns for itself.
    assert abs(found[ONE.encode()] - found[TWO.encode()]) <= 4
    world.dns.tell({"catalog.internal": [TWO]})
    settle()
    assert asked("plain") == {TWO.encode(): 20}
    world.dns.stop()
    settle()
    started = time.monotonic()
    assert asked("plain") == {TWO.encode(): 20}
    assert time.monotonic() - started < 2
    world.dns.tell({"catalog.internal": []})
    settle()
    assert asked("plain") == {b"503": 20}


def test_an_endpoint_that_is_dead_is_passed_over(world):
    world.dns.tell({"half.internal": [ONE, NOBODY]})
    settle()
    assert asked("half", 40) == {ONE.encode(): 40}


def test_services_have_ports_weights_and_priorities(world):
    world.dns.tell(
        {"one.internal": ONE, "two.internal": TWO},
        {
            "_http._tcp.catalog.internal": [
                ("one.internal", 15006, 30, 1),
                ("two.internal", 15006, 10, 1),
                ("nobody.internal", 15006, 10, 1),
                ("one.internal", 1, 10, 2),
            ]
        },
    )
    settle()
    found = asked("srv", 80)
    assert set(found) == {ONE.encode(), TWO.encode()}
    assert abs(found[TWO.encode()] - 20) <= 4


def stream() -> bytes:
    with suppress(OSError), socket.create_connection((WEB, STREAMS[0]), 5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        parts = b""
        while part := connection.recv(4096):
            parts += part
        return parts
    return b""


def test_streams_are_led_to_names(world):
    assert stream() == b""
    world.dns.tell({"ledger.internal": ONE})
    time.sleep(REFRESH + 1.1)
    assert stream().startswith(b"HTTP/1.1 200")
