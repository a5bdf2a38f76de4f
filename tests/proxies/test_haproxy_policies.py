"""HAProxy: ejection, levels, queues, rings, checks and copies, where they meet each other and the times of a route."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections import Counter
from datetime import timedelta
from fractions import Fraction

import pytest
from msgspec import structs

from meshctl import ir
from tests import sidecars
from tests.proxies.haproxy_fixtures import App, Authority, request, running
from tests.sidecars import NO_RETRIES, WRITTEN, cluster, route, virtual_host

pytestmark = pytest.mark.xdist_group("haproxy-policies")

NETWORK = f"127.33.{os.getpid() % 250 + 1}"
WEB = f"{NETWORK}.1"
CALLEES = ("one", "two", "three", "four")
ADDRESSES = {name: f"{NETWORK}.{number}" for number, name in enumerate((*CALLEES, "copy"), start=11)}
NOBODY = (f"{NETWORK}.99", 15006, 1)
GATEWAY = ir.RetryPolicy(
    2, (ir.RetryCondition.CONNECT_FAILURE, ir.RetryCondition.GATEWAY_ERROR), sidecars.IDEMPOTENT, at=WRITTEN
)
EJECTION = ir.OutlierDetection(
    3, timedelta(seconds=1), timedelta(seconds=1.2), max_ejected=Fraction(1), at=WRITTEN
)
BY_USER = ir.LoadBalancing(ir.LoadBalancingPolicy.RING_HASH, ir.HashOn(ir.HashKey.HEADER, "x-user"), WRITTEN)


def within(seconds):
    return ir.Timeout(timedelta(seconds=seconds), WRITTEN)


def callee(name, *priorities, **policies):
    """A cluster of the first endpoints, one for each priority."""
    made = cluster(name, *((ADDRESSES[each], 15006, 1) for each in CALLEES[: len(priorities)]))
    endpoints = zip(made.endpoints, priorities, strict=True)
    levels = tuple(structs.replace(each, priority=priority) for each, priority in endpoints)
    return structs.replace(made, identity=sidecars.identity("catalog"), endpoints=levels, **policies)


def check(seconds):
    return ir.HealthCheck(
        ir.HealthCheckKind.HTTP,
        "/healthz",
        "catalog.shop.mesh",
        interval=timedelta(seconds=seconds),
        timeout=timedelta(seconds=seconds),
        unhealthy_threshold=2,
        healthy_threshold=1,
        at=WRITTEN,
    )


CLUSTERS = (
    callee("ejecting", 0, 0, outlier_detection=EJECTION),
    callee("hurried", 0, 0, outlier_detection=EJECTION),
    callee("levels", 0, 1, 2, 3, outlier_detection=EJECTION),
    callee("checked", 0, 1, health_check=check(0.25), load_balancing=BY_USER),
    callee("ring", 0, 0, 0, load_balancing=BY_USER),
    structs.replace(
        cluster("gone", (ADDRESSES["one"], 15006, 1), NOBODY),
        identity=sidecars.identity("catalog"),
        load_balancing=BY_USER,
    ),
    structs.replace(
        cluster("first", NOBODY),
        identity=sidecars.identity("catalog"),
        endpoints=(
            ir.Endpoint(ir.SocketAddress(*NOBODY[:2]), 1, 0),
            ir.Endpoint(ir.SocketAddress(ADDRESSES["one"], 15006), 1, 1),
        ),
    ),
    callee("queue", 0, circuit_breaker=ir.CircuitBreaker(1, 100, max_pending=2)),
    callee("copied", 0),
    structs.replace(cluster("copy", (ADDRESSES["copy"], 15006, 1))),
)
COPIES = (ir.Mirror("copy", Fraction(1), WRITTEN),)


def routes(name, **more):
    """One that retries, with a time of its own, and one that does neither."""
    again = ir.RouteMatch(ir.PathMatch(ir.PathMatchKind.PREFIX, "/again"), (), ())
    return (
        route("again", (name, 1), match=again, timeout=within(5), retries=GATEWAY, **more),
        route("once", (name, 1), timeout=within(0.3) if name == "hurried" else within(5), retries=NO_RETRIES),
    )


HOSTS = tuple(
    virtual_host(each.name, *routes(each.name, **({"mirrors": COPIES} if each.name == "copied" else {})))
    for each in CLUSTERS
)


def saying(name):
    return lambda handler: handler.reply(200, name.encode())


class World:
    def __init__(self, stack, folder):
        authority = Authority()
        self.apps = {}
        for name, address in ADDRESSES.items():
            self.apps[name] = App(address)
            stack.callback(self.apps[name].stop)
            service = "copy" if name == "copy" else "catalog"
            sidecar = sidecars.sidecar(service, ir.Proxy.HAPROXY, address=address, callers=("web",))
            stack.enter_context(running(sidecar, authority, folder / name))
        web = sidecars.sidecar(
            "web", ir.Proxy.HAPROXY, address=WEB, inbound=False, virtual_hosts=HOSTS, clusters=CLUSTERS
        )
        self.web = stack.enter_context(running(web, authority, folder / "web"))

    def rest(self):
        """All well again: what was ejected is back, and what was checked."""
        for name, app in self.apps.items():
            if app.stopped:
                app.start()
            app.answer = saying(name)
        time.sleep(1.6)
        for app in self.apps.values():
            app.seen.clear()

    def saw(self, name):
        """The requests that an application got, but for checks."""
        return [each for each in self.apps[name].seen if each.target != "/healthz"]

    def ask(self, host, target="/", times=1, **more):
        """Statuses and bodies, counted."""
        answers = (request(WEB, target, host=host, **more) for _ in range(times))
        return Counter((each.status, each.body.decode()) for each in answers)


@pytest.fixture(scope="module")
def running_world(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        yield World(stack, tmp_path_factory.mktemp("policies"))


@pytest.fixture
def world(running_world):
    running_world.rest()
    return running_world


def fail(handler):
    handler.reply(503, b"failed")


def hang(handler):
    time.sleep(1)
    handler.reply(200, b"late")


def test_tries_that_are_made_again_count_and_all_routes_know(world):
    world.apps["one"].answer = fail
    assert world.ask("ejecting", "/again", times=12) == {(200, "two"): 12}
    assert len(world.saw("one")) == 3
    assert world.ask("ejecting", times=6) == {(200, "two"): 6}


def test_an_ejection_ends_and_an_answer_starts_the_count_anew(world):
    world.apps["one"].answer = fail
    world.ask("ejecting", times=4)
    world.apps["one"].answer = saying("one")
    world.ask("ejecting", times=4)
    assert len(world.saw("one")) == 4, "two failures were enough"
    world.apps["one"].answer = fail
    world.ask("ejecting", times=10)
    assert len(world.saw("one")) == 7
    started = time.monotonic()
    while (503, "failed") not in world.ask("ejecting", times=2):
        assert time.monotonic() < started + 3
        time.sleep(0.05)
    assert time.monotonic() > started + 1


def test_a_try_that_the_routes_time_cuts_off_counts(world):
    world.apps["one"].answer = hang
    assert world.ask("hurried", times=12) == {(504, ""): 3, (200, "two"): 9}


def test_a_client_that_goes_away_counts_for_nothing(world):
    world.apps["one"].answer = world.apps["two"].answer = hang
    for _ in range(8):
        with socket.create_connection((WEB, 15001)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nhost: ejecting\r\n\r\n")
            time.sleep(0.05)
    time.sleep(1.1)
    for name in ("one", "two"):
        world.apps[name].answer = saying(name)
    assert world.ask("ejecting", times=4) == {(200, "one"): 2, (200, "two"): 2}


def test_levels_take_over_one_after_the_other_and_nobody_left_is_503_at_once(world):
    for failing, next_one in zip(CALLEES, (*CALLEES[1:], None), strict=True):
        world.apps[failing].answer = fail
        answers = world.ask("levels", times=6)
        expected = {(200, next_one): 3} if next_one else {(503, ""): 3}
        assert answers == {(503, "failed"): 3, **expected}
    started = time.monotonic()
    assert world.ask("levels", "/again", times=5) == {(503, ""): 5}
    assert time.monotonic() - started < 0.5


def test_checks_and_rings_and_levels_together(world):
    users = [[("x-user", f"u{number}")] for number in range(6)]
    assert sum((world.ask("checked", headers=user) for user in users), Counter()) == {(200, "one"): 6}
    world.apps["one"].stop()
    time.sleep(0.9)
    assert sum((world.ask("checked", headers=user) for user in users), Counter()) == {(200, "two"): 6}


def test_a_dead_endpoint_moves_its_own_keys_alone_and_none_waits(world):
    def endpoints():
        return [
            next(iter(world.ask("ring", "/again", headers=[("x-user", str(key))])))[1] for key in range(60)
        ]

    before = endpoints()
    assert set(before) == {"one", "two", "three"}
    assert endpoints() == before
    world.apps["one"].stop()
    started = time.monotonic()
    after = endpoints()
    assert time.monotonic() - started < 10, "a third of the keys had to wait"
    assert [new for old, new in zip(before, after, strict=True) if old != "one"] == [
        old for old in before if old != "one"
    ]
    assert "one" not in after


def test_a_ring_connects_again_at_once_where_nobody_listens(world):
    keys = [[("x-user", str(key))] for key in range(20)]
    slowest = max(request(WEB, "/again", host="gone", headers=key).seconds for key in keys)
    assert slowest < 0.5, "HAProxy paused"
    assert sum((world.ask("gone", "/again", headers=key) for key in keys), Counter()) == {(200, "one"): 20}


def test_a_level_of_one_is_tried_again_at_once(world):
    answer = request(WEB, "/again", host="first")
    assert answer.status == 503, "nothing has found it unhealthy"
    assert answer.seconds < 0.5, "HAProxy paused"


def test_routes_share_one_queue_and_what_does_not_fit_is_refused_at_once(world):
    def slow(handler):
        time.sleep(0.4)
        handler.reply(200, b"one")

    world.apps["one"].answer = slow
    found = []

    def ask(number):
        answer = request(WEB, "/again" if number % 2 else "/", host="queue")
        found.append((answer.status, round(answer.seconds / 0.4)))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(found) == {(200, 1): 1, (200, 2): 1, (200, 3): 1, (503, 0): 3}


BODIES = {"none": b"", "some": b"x" * 1000, "near the buffer": b"x" * 60_000}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_copy_is_the_request_to_the_byte(world, body):
    lines = [("x-a", "1"), ("x-a", "2, 3"), ("cookie", "q=1")]
    answer = request(WEB, "/again/a?b=%20c", host="copied", method="PUT", headers=lines, body=body, timeout=5)
    assert answer.body == b"one"
    deadline = time.monotonic() + 2
    while not world.saw("copy") and time.monotonic() < deadline:
        time.sleep(0.01)
    (copy,), (original,) = world.saw("copy"), world.saw("one")
    assert (copy.method, copy.target, copy.body) == (original.method, original.target, original.body)
    assert sorted(copy.headers) == sorted(original.headers)


def test_what_is_not_whole_is_not_copied(world):
    assert request(WEB, "/again", host="copied", method="PUT", body=b"x" * 1_000_000).body == b"one"
    time.sleep(0.2)
    assert not world.saw("copy")


@pytest.mark.parametrize("fate", ["hangs", "resets", "is gone"])
def test_a_copy_that_fails_changes_nothing(world, fate):
    if fate == "is gone":
        world.apps["copy"].stop()
    world.apps["copy"].answer = hang if fate == "hangs" else lambda handler: handler.reset()
    started = time.monotonic()
    assert world.ask("copied", "/again", times=20) == {(200, "one"): 20}
    assert time.monotonic() - started < 2


def test_a_request_is_copied_once_whatever_is_tried_again(world):
    world.apps["one"].answer = fail
    assert world.ask("copied", "/again") == {(503, "failed"): 1}
    time.sleep(0.2)
    assert (len(world.saw("one")), len(world.saw("copy"))) == (3, 1)


def test_what_haproxy_says_of_servers_is_not_among_the_lines_of_requests(world):
    world.apps["one"].answer = fail
    world.ask("ejecting", times=8)
    time.sleep(1.3)
    assert len(world.web.last_log(8)) == 8, "and each line is JSON"
