"""Copies of requests on NGINX: the same as the request, and never in its way."""

from __future__ import annotations

import hashlib
import http.client
import os
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from msgspec import structs

from meshctl import ir
from meshctl.ir import RetryCondition
from tests.proxies.nginx_fixtures import App, Handler, Seen, new_authority, request, running
from tests.sidecars import IDEMPOTENT, NO_RETRIES, WRITTEN, cluster, route, sidecar, virtual_host

pytestmark = pytest.mark.xdist_group("nginx-mirroring")

NETWORK = f"127.72.{os.getpid() % 250 + 1}"
WEB, MAIN, COPY, PLAIN, NOBODY = (f"{NETWORK}.{number}" for number in (1, 2, 3, 4, 9))
MEGABYTE = 1_000_000


def mirror(backend: str, share: Fraction = Fraction(1)) -> ir.Mirror:
    return ir.Mirror(backend, share, at=WRITTEN)


def host(name: str, *mirrors: ir.Mirror, backend: str = "main", **changes: Any) -> ir.VirtualHost:
    changes.setdefault("retries", NO_RETRIES)
    changes.setdefault("timeout", ir.Timeout(timedelta(seconds=20), at=WRITTEN))
    return virtual_host(name, route(name, (backend, 1), mirrors=mirrors, **changes))


REWRITTEN: dict[str, Any] = {
    "rewrite": ir.Rewrite(prefix="/new", hostname="other.example"),
    "match": ir.RouteMatch(ir.PathMatch(ir.PathMatchKind.PREFIX, "/old"), (), ()),
    "request_headers": ir.HeaderChanges(set=(("x-set", "1"),), add=(("x-add", "2"),), remove=("x-gone",)),
}
AGAIN = ir.RetryPolicy(
    2, (RetryCondition.CONNECT_FAILURE, RetryCondition.SERVER_ERROR), IDEMPOTENT, at=WRITTEN
)
CONNECT = ir.RetryPolicy(2, (RetryCondition.CONNECT_FAILURE,), IDEMPOTENT, at=WRITTEN)
HOSTS = (
    host("one", mirror("copy")),
    host("several", mirror("copy"), mirror("plain")),
    host("some", mirror("plain", Fraction(1, 4)), mirror("copy", Fraction(0))),
    host("rewritten", mirror("copy"), **REWRITTEN),
    host("again", mirror("copy"), retries=AGAIN),
    host("half", mirror("copy"), backend="half", retries=CONNECT),
    host("dead", mirror("dead")),
    host("short", mirror("plain"), timeout=ir.Timeout(timedelta(milliseconds=600), at=WRITTEN)),
    host("few", mirror("few")),
)


def outside(name: str, *addresses: str) -> ir.Cluster:
    made = cluster(name, *((each, 8080, 1) for each in addresses))
    return structs.replace(made, identity=None, origin=ir.Origin(None))


class World:
    def __init__(self, folder, stack: ExitStack) -> None:
        signer = new_authority()
        few = structs.replace(outside("few", PLAIN), circuit_breaker=ir.CircuitBreaker(2, 2))
        made = sidecar(
            "web",
            ir.Proxy.NGINX,
            address=WEB,
            virtual_hosts=HOSTS,
            clusters=(
                cluster("main", (MAIN, 15006, 1)),
                cluster("half", (NOBODY, 15006, 1), (MAIN, 15006, 1)),
                cluster("copy", (COPY, 15006, 1)),
                outside("plain", PLAIN),
                outside("dead", NOBODY),
                few,
            ),
        )
        made = structs.replace(
            made,
            clusters=tuple(
                structs.replace(each, identity=structs.replace(each.identity, service="main"))
                if each.name == "half" and each.identity
                else each
                for each in made.clusters
            ),
        )
        self.main, self.copy, self.plain = App(MAIN), App(COPY), App(PLAIN)
        for each in (self.main, self.copy, self.plain):
            stack.callback(each.stop)
        self.web = stack.enter_context(running(made, folder / "web", signer))
        for name, address in (("main", MAIN), ("copy", COPY)):
            callee = sidecar(name, ir.Proxy.NGINX, address=address, callers=("web",))
            stack.enter_context(running(callee, folder / name, signer))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with ExitStack() as stack:
        made = World(tmp_path_factory.mktemp("nginx-mirroring"), stack)
        yield made
        assert not made.web.errors()


@pytest.fixture(autouse=True)
def answers(world):
    for each in (world.main, world.copy, world.plain):
        each.answer = lambda handler: handler.reply(200, b"hello")
        each.seen.clear()
    yield
    time.sleep(0.05)


def ask(name: str, target: str = "/", **others):
    return request(WEB, target, host=name, **others)


def seen(app: App, count: int, within: float = 5) -> list[Seen]:
    """What an application has seen, once there are so many; more would be too many."""
    deadline = time.monotonic() + within
    while len(app.seen) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.1)
    assert len(app.seen) == count
    return list(app.seen)


def slowly(seconds: float) -> Callable[[Handler], None]:
    return lambda handler: handler.reply(200, b"slow", after=seconds)


def lines(one: Seen) -> list[tuple[str, str]]:
    return sorted((name.lower(), value) for name, value in one.headers)


def test_a_copy_is_what_the_backend_gets(world):
    headers = [
        ("X-A", "1"),
        ("X-A", "2"),
        ("x-empty", ""),
        ("Cookie", "a=b"),
        ("Connection", "x-hop"),
        ("x-hop", "1"),
    ]
    answer = ask("one", "/p?q=%41&r", method="POST", headers=headers, body=b"body")
    assert (answer.status, answer.body) == (200, b"hello")
    (main,), (copy,) = seen(world.main, 1), seen(world.copy, 1)
    assert (copy.method, copy.target, copy.body) == (main.method, main.target, main.body)
    assert lines(copy) == lines(main)
    assert copy.header("x-mesh-identity") == ["spiffe://shop.example/web"]
    assert not copy.header("x-hop")


def test_a_copy_is_made_after_the_filters(world):
    ask("rewritten", "/old/x?y", headers=[("x-gone", "1"), ("x-add", "1")])
    (main,), (copy,) = seen(world.main, 1), seen(world.copy, 1)
    assert copy.target == main.target == "/new/x?y"
    assert copy.header("host") == ["other.example"]
    assert lines(copy) == lines(main)


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "POST"])
def test_a_request_without_a_body_has_a_copy_without_one(world, method):
    ask("one", method=method)
    (main,), (copy,) = seen(world.main, 1), seen(world.copy, 1)
    assert lines(copy) == lines(main)


@pytest.mark.parametrize("length", [0, 1000, MEGABYTE, 50 * MEGABYTE])
def test_a_body_of_any_length_is_copied(world, length):
    body = bytes(range(256)) * (length // 256 + 1)
    body = body[:length]
    answer = ask("one", method="POST", body=body)
    assert answer.status == 200
    (main,), (copy,) = seen(world.main, 1), seen(world.copy, 1, within=20)
    for each in (main, copy):
        assert each.header("content-length") == [str(length)]
        assert hashlib.sha256(each.body).digest() == hashlib.sha256(body).digest()


def test_a_body_in_chunks_is_copied_whole(world):
    with closing(http.client.HTTPConnection(WEB, 15001, timeout=10)) as client:
        client.request("POST", "/", iter([b"a" * 70000] * 5), {"Host": "one"}, encode_chunked=True)
        assert client.getresponse().read() == b"hello"
    (main,), (copy,) = seen(world.main, 1), seen(world.copy, 1)
    assert main.body == copy.body == b"a" * 350_000
    assert lines(copy) == lines(main)


def test_every_mirror_gets_its_copy(world):
    ask("several", "/a")
    assert [seen(each, 1)[0].target for each in (world.copy, world.plain)] == ["/a", "/a"]
    (plain,) = world.plain.seen
    assert not [name for name, _ in plain.headers if name.lower().startswith("x-mesh")]


def test_a_share_is_drawn_for_each_request(world):
    for _ in range(400):
        ask("some")
    time.sleep(0.3)
    assert 60 <= len(world.plain.seen) <= 140
    assert not world.copy.seen


def test_neither_the_request_nor_the_next_on_its_connection_waits(world):
    world.copy.answer = slowly(1.5)
    with closing(http.client.HTTPConnection(WEB, 15001, timeout=10)) as client:
        for _ in range(5):
            answer = ask("one", connection=client, method="POST", body=b"x" * MEGABYTE)
            assert answer.status == 200
            assert answer.seconds < 0.7
    seen(world.copy, 5)


@pytest.mark.parametrize("answer", ["reset", "error", "long"])
def test_what_the_mirror_does_changes_nothing(world, answer):
    done = []

    def long(handler: Handler) -> None:
        handler.reply(200, b"z" * MEGABYTE)
        done.append(True)

    world.copy.answer = {
        "reset": lambda handler: handler.reset(),
        "error": lambda handler: handler.reply(500),
        "long": long,
    }[answer]
    for _ in range(3):
        assert ask("one").body == b"hello"
    seen(world.copy, 3)
    time.sleep(0.2)
    assert len(done) == (3 if answer == "long" else 0), "its answer is read to the end"


def test_a_mirror_that_cannot_be_reached_changes_nothing(world):
    answer = ask("dead")
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer.seconds < 0.5


def test_a_copy_is_sent_once_however_often_the_request_is_tried(world):
    world.main.answer = lambda handler: handler.reply(503)
    world.copy.answer = lambda handler: handler.reply(503)
    assert ask("again").status == 503
    seen(world.main, 3)
    seen(world.copy, 1)


def test_a_connection_that_failed_brings_no_second_copy(world):
    for _ in range(4):
        assert ask("half").status == 200
    seen(world.main, 4)
    seen(world.copy, 4)


def test_a_copy_has_the_time_of_the_route(world):
    gone = []

    def late(handler: Handler) -> None:
        time.sleep(1.2)
        handler.connection.settimeout(0.5)
        gone.append(handler.connection.recv(1) == b"")

    world.plain.answer = late
    assert ask("short").status == 200
    time.sleep(1.6)
    assert gone == [True]


def test_a_copy_over_the_bound_of_its_cluster_is_dropped(world):
    world.plain.answer = slowly(0.6)
    for _ in range(6):
        assert ask("few").status == 200
    time.sleep(1)
    assert len(world.plain.seen) == 2


def test_a_copy_has_no_line_in_the_log(world):
    before = len(world.web.log())
    ask("several")
    seen(world.plain, 1)
    assert len(world.web.last_log(before + 1)) == before + 1


def test_no_header_of_an_application_leads_its_copy_astray(world):
    headers = [("x-mesh-mirror", "1"), ("X_Mesh_Mirror", "1"), ("x-mesh-source", "10.0.0.1")]
    ask("one", headers=headers)
    seen(world.copy, 1)
    seen(world.main, 1)
