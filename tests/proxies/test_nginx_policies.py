"""Balancing, levels, ejections and bounds on NGINX: which endpoint gets what, over both workers."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from msgspec import structs

from meshctl import ir
from meshctl.ir import HashKey, LoadBalancingPolicy, RetryCondition
from tests.proxies.nginx_fixtures import App, Handler, Response, new_authority, request, running
from tests.sidecars import IDEMPOTENT, NO_RETRIES, WRITTEN, cluster, route, sidecar, virtual_host

pytestmark = pytest.mark.xdist_group("nginx-policies")

NETWORK = f"127.71.{os.getpid() % 250 + 1}"
WEB, HOP, NOBODY = f"{NETWORK}.1", f"{NETWORK}.2", f"{NETWORK}.9"
APPS = tuple(f"{NETWORK}.1{number}" for number in range(5))
ONE, TWO, THREE, FOUR, FIVE = APPS


def ms(count: int) -> timedelta:
    return timedelta(milliseconds=count)


def outside(name: str, *addresses: str, weights: tuple[int, ...] = (), **changes) -> ir.Cluster:
    shares = weights or (1,) * len(addresses)
    made = cluster(name, *((each, 8080, share) for each, share in zip(addresses, shares, strict=True)))
    return structs.replace(made, identity=None, origin=ir.Origin(None), **changes)


def levels(name: str, *levels_of: tuple[str, ...], **changes) -> ir.Cluster:
    made = outside(name, *(each for level in levels_of for each in level), **changes)
    numbers = [number for number, level in enumerate(levels_of) for _ in level]
    endpoints = zip(made.endpoints, numbers, strict=True)
    return structs.replace(
        made, endpoints=tuple(structs.replace(each, priority=number) for each, number in endpoints)
    )


def ring(key: HashKey, name: str = "") -> ir.LoadBalancing:
    return ir.LoadBalancing(LoadBalancingPolicy.RING_HASH, ir.HashOn(key, name, at=WRITTEN), at=WRITTEN)


def ejection(errors: int, milliseconds: int, share: Fraction = Fraction(1)) -> ir.OutlierDetection:
    return ir.OutlierDetection(errors, ms(100), ms(milliseconds), share, at=WRITTEN)


LEAST = ir.LoadBalancing(LoadBalancingPolicy.LEAST_REQUEST, at=WRITTEN)
RANDOM = ir.LoadBalancing(LoadBalancingPolicy.RANDOM, at=WRITTEN)
BREAKER = ir.CircuitBreaker(1024, 1024, max_retries=2)


def policy(attempts: int, *conditions: RetryCondition, **others) -> ir.RetryPolicy:
    return ir.RetryPolicy(attempts, conditions, IDEMPOTENT, at=WRITTEN, **others)


CONNECT, SERVER, GATEWAY = (
    policy(2, RetryCondition.CONNECT_FAILURE),
    policy(2, RetryCondition.SERVER_ERROR),
    policy(1, RetryCondition.GATEWAY_ERROR),
)
CLUSTERS = (
    outside("least", ONE, TWO, load_balancing=LEAST),
    outside("least-retried", ONE, TWO, load_balancing=LEAST),
    outside("random", ONE, TWO, THREE, weights=(1, 2, 1), load_balancing=RANDOM),
    outside("ring", *APPS, load_balancing=ring(HashKey.HEADER, "x-user")),
    outside("ring-four", *APPS[:4], load_balancing=ring(HashKey.HEADER, "x-user")),
    outside("ring-cookie", *APPS, load_balancing=ring(HashKey.COOKIE, "Session")),
    outside("ring-source", *APPS, load_balancing=ring(HashKey.SOURCE_ADDRESS)),
    outside(
        "ring-dead", *APPS[:4], NOBODY, load_balancing=ring(HashKey.HEADER, "x-user"),
        outlier_detection=ejection(1, 60_000),
    ),
    levels("levels", (ONE,), (TWO,), outlier_detection=ejection(1, 700)),
    levels("three-levels", (NOBODY,), (ONE, TWO), (THREE,), outlier_detection=ejection(1, 60_000)),
    outside("ejecting", ONE, TWO, outlier_detection=ejection(3, 1000)),
    outside("ejecting-half", *APPS[:4], outlier_detection=ejection(1, 60_000, Fraction(1, 2))),
    outside("ejecting-one", ONE, outlier_detection=ejection(1, 60_000)),
    outside("ejecting-retried", ONE, TWO, outlier_detection=ejection(2, 60_000)),
    outside("ejecting-hop", ONE, TWO, outlier_detection=ejection(2, 60_000)),
    outside("ejecting-slow", ONE, TWO, outlier_detection=ejection(1, 60_000)),
    *(
        structs.replace(
            cluster("catalog", (HOP, 15006, 1), (NOBODY, 15006, 1)), name=name, outlier_detection=ejection(1, 60_000)
        )
        for name in ("catalog", "catalog.again", "catalog.hop")
    ),
    outside("bounded", ONE, circuit_breaker=BREAKER),
    outside("waiting", ONE, circuit_breaker=ir.CircuitBreaker(1, 1024, max_pending=2)),
    outside("waiting-hop", ONE, circuit_breaker=ir.CircuitBreaker(1, 1024, max_pending=2)),
    outside("waiting-less", ONE, circuit_breaker=ir.CircuitBreaker(1, 1024, max_pending=5)),
)  # fmt: skip
RETRIED = {
    "least-retried": SERVER,
    "ring-dead": CONNECT,
    "three-levels": CONNECT,
    "ejecting-retried": GATEWAY,
    "ejecting-hop": SERVER,
    "catalog.again": CONNECT,
    "catalog.hop": policy(1, RetryCondition.CONNECT_FAILURE, RetryCondition.SERVER_ERROR),
    "bounded": SERVER,
    "waiting-hop": SERVER,
}
TIMEOUTS = {
    "ejecting-slow": ir.Timeout(ms(300), at=WRITTEN),
    "waiting-less": ir.Timeout(ms(600), at=WRITTEN),
}


def host(name: str) -> ir.VirtualHost:
    timeout = TIMEOUTS.get(name, ir.Timeout(ms(5000)))
    return virtual_host(name, route(name, (name, 1), retries=RETRIED.get(name, NO_RETRIES), timeout=timeout))


class World:
    def __init__(self, folder, stack: ExitStack) -> None:
        self.apps = [App(each) for each in APPS]
        for each in self.apps:
            stack.callback(each.stop)
        self.behind = App(HOP)
        signer = new_authority()
        made = sidecar(
            "web",
            ir.Proxy.NGINX,
            address=WEB,
            virtual_hosts=tuple(host(each.name) for each in CLUSTERS),
            clusters=CLUSTERS,
        )
        self.web = stack.enter_context(running(made, folder / "web", signer))
        catalog = sidecar("catalog", ir.Proxy.NGINX, address=HOP, callers=("web",))
        self.catalog = stack.enter_context(running(catalog, folder / "catalog", signer))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with ExitStack() as stack:
        made = World(tmp_path_factory.mktemp("nginx-policies"), stack)
        yield made
        assert not made.web.errors()


@pytest.fixture(autouse=True)
def answers(world):
    def tell(number: int) -> Callable[[Handler], None]:
        return lambda handler: handler.reply(200, str(number).encode())

    for number, each in enumerate(world.apps):
        each.answer = tell(number)
        each.seen.clear()
    world.behind.answer = lambda handler: handler.reply(200, b"behind")


def ask(name: str, **others: Any) -> Response:
    return request(WEB, host=name, **others)


def asked(name: str, count: int, **others: Any) -> Counter[str]:
    answers = (ask(name, **others) for _ in range(count))
    return Counter(f"{each.status} {each.body.decode()}" for each in answers)


def until_told(name: str, answer: str, times: int) -> None:
    """Asks until an answer came so often; each of the two workers takes turns for itself."""
    for _ in range(10):
        times -= asked(name, 1)[answer]
        if not times:
            return
    raise AssertionError(f"{times} more answers {answer} were to come")


def at_once(count: int, work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def fails(status: int = 503) -> Callable[[Handler], None]:
    return lambda handler: handler.reply(status, b"bad")


COUNTED = 0.05
"""Seconds until NGINX has counted an end, which it does when the client has its answer."""


@pytest.mark.parametrize("name", ["least", "least-retried"])
def test_requests_go_where_few_are_under_way(world, name):
    asked_enough = threading.Event()

    def slow_answer(handler: Handler) -> None:
        asked_enough.wait(10)
        handler.reply(200, b"slow")

    world.apps[0].answer = slow_answer
    world.apps[0].seen.clear()
    slow = threading.Thread(target=lambda: until_told(name, "200 slow", 1))
    slow.start()
    while not world.apps[0].seen:
        time.sleep(0.01)
    found: Counter[str] = Counter()
    for _ in range(20):
        found += asked(name, 1)
        time.sleep(COUNTED)
    asked_enough.set()
    slow.join()
    assert found["200 1"] >= 19, found
    # And nothing is left of those that have ended.
    world.apps[0].answer = lambda handler: handler.reply(200, b"0")
    assert 8 <= asked(name, 20)["200 0"] <= 12


def test_a_client_that_goes_away_is_no_request_under_way(world):
    world.apps[0].answer = world.apps[1].answer = lambda handler: handler.reply(200, b"late", after=0.6)

    def give_up(_: int) -> None:
        with pytest.raises(TimeoutError):
            ask("least", timeout=0.2)

    at_once(3, give_up)
    time.sleep(1)
    answers_again(world)
    assert 8 <= asked("least", 20)["200 0"] <= 12


def answers_again(world) -> None:
    for number, each in enumerate(world.apps):
        each.answer = lambda handler, number=number: handler.reply(200, str(number).encode())


def test_a_random_endpoint_is_drawn_by_weight(world):
    found = asked("random", 1200)
    assert 480 < found["200 1"] < 720
    assert 210 < found["200 0"] < 390
    assert 210 < found["200 2"] < 390
    # Turns would be exact.
    assert len(set(asked("random", 40).values()) | set(asked("random", 40).values())) > 2


def of_users(name: str, count: int = 200) -> dict[int, str]:
    return {user: ask(name, headers=[("x-user", f"user-{user}")]).body.decode() for user in range(count)}


def test_the_same_key_meets_the_same_endpoint(world):
    first, second = of_users("ring"), of_users("ring")
    assert first == second
    assert set(first.values()) == {"0", "1", "2", "3", "4"}
    assert max(Counter(first.values()).values()) < 80


def test_an_endpoint_more_takes_its_share_of_the_keys_and_no_other_moves(world):
    four, five = of_users("ring-four"), of_users("ring")
    moved = {user for user in four if four[user] != five[user]}
    assert {five[user] for user in moved} == {"4"}
    assert 15 < len(moved) < 75


def test_the_keys_of_a_dead_endpoint_move_and_the_others_stay(world):
    four, left = of_users("ring-four"), of_users("ring-dead")
    assert left == four


def test_the_first_line_whole_is_the_key_and_none_may_go_anywhere(world):
    def one(*lines: str) -> str:
        return ask("ring", headers=[("x-user", line) for line in lines]).body.decode()

    for number in range(20):
        assert one(f"user-{number}", f"other-{number}") == one(f"user-{number}")
    assert len({one(f"a, {number}") for number in range(30)}) > 1
    assert len(asked("ring", 10)) == 5
    assert len({ask("ring", headers=[("x_user", "user-1")]).body for _ in range(10)}) > 1


def test_a_cookie_is_the_key_by_its_name_as_it_is_written(world):
    def one(line: str) -> str:
        return ask("ring-cookie", headers=[("Cookie", line)]).body.decode()

    for number in range(20):
        assert one(f"session=x; Session={number}; a=b") == one(f"Session={number}")
    assert len({one(f"Session={number}") for number in range(120)}) == 5
    assert len({one("session=1") for _ in range(10)}) == 5


def test_the_address_of_the_client_is_the_key(world):
    assert len(asked("ring-source", 20)) == 1


def test_the_next_level_serves_while_the_first_is_out_and_no_longer(world):
    assert asked("levels", 4) == {"200 0": 4}
    world.apps[0].answer = fails(500)
    assert asked("levels", 1) == {"500 bad": 1}
    answers_again(world)
    assert asked("levels", 4) == {"200 1": 4}
    time.sleep(0.8)
    assert asked("levels", 4) == {"200 0": 4}


def test_a_level_without_anybody_leads_on_to_the_next_at_the_second_try(world):
    found = asked("three-levels", 20)
    assert set(found) == {"200 0", "200 1"}
    assert found["200 0"] >= 8 <= found["200 1"]
    world.apps[0].answer = world.apps[1].answer = fails(500)
    asked("three-levels", 2)
    assert asked("three-levels", 4) == {"200 2": 4}
    world.apps[2].answer = fails(500)
    asked("three-levels", 1)
    answer = ask("three-levels")
    assert answer.status == 503
    assert answer.seconds < 0.3


def test_errors_in_a_row_eject_for_the_time_and_no_longer(world):
    world.apps[0].answer = fails(500)
    until_told("ejecting", "500 bad", 3)
    out_since = time.monotonic()
    answers_again(world)
    while time.monotonic() < out_since + 0.8:
        assert asked("ejecting", 1) == {"200 1": 1}
    time.sleep(out_since + 1.1 - time.monotonic())
    found = asked("ejecting", 10)
    assert found.total() == 10
    assert found["200 0"] in {4, 5, 6}, "each of the two workers takes turns for itself"


def test_an_answer_that_is_no_error_starts_the_count_anew(world):
    for _ in range(3):
        for answered, times in ((503, 2), (404, 1)):
            world.apps[0].answer = fails(answered)
            until_told("ejecting", f"{answered} bad", times)
    answers_again(world)


def test_no_more_than_the_limit_are_out(world):
    for each in world.apps[:4]:
        each.answer = fails(500)
    asked("ejecting-half", 20)
    for each in world.apps:
        each.seen.clear()
    asked("ejecting-half", 20)
    assert sorted(len(each.seen) > 5 for each in world.apps[:4]) == [False, False, True, True]
    assert sum(len(each.seen) for each in world.apps[:4] if len(each.seen) <= 5) == 0


def test_the_only_endpoint_is_never_out(world):
    world.apps[0].answer = fails(500)
    assert asked("ejecting-one", 5) == {"500 bad": 5}


@pytest.mark.parametrize("name", ["ejecting-retried", "ejecting-hop"])
def test_tries_that_were_made_again_count(world, name):
    world.apps[0].answer = fails(503)
    assert asked(name, 10) == {"200 1": 10}
    assert len(world.apps[0].seen) == 2
    world.apps[1].answer = fails(503)
    asked(name, 2)
    answer = ask(name)
    assert answer.status == 503
    assert answer.seconds < 0.3
    assert not answer.body.startswith(b"bad")


def test_a_try_that_ran_out_of_time_counts(world):
    world.apps[0].answer = lambda handler: handler.reply(200, b"late", after=0.8)
    found = asked("ejecting-slow", 10)
    assert sum(count for answer, count in found.items() if answer.startswith("504")) == 1
    assert found["200 1"] == 9


@pytest.mark.parametrize("name", ["catalog", "catalog.again", "catalog.hop"])
def test_an_application_that_is_dead_behind_its_sidecar_counts(world, name):
    asked(name, 4)
    assert asked(name, 4) == {"200 behind": 4}
    world.behind.stop()
    try:
        assert ask(name).status == 503
        time.sleep(0.2)
        before = len(world.catalog.log())
        assert {ask(name).status for _ in range(4)} == {503}
        time.sleep(0.2)
        assert len(world.catalog.log()) == before
    finally:
        world.behind = App(HOP)


def test_no_more_retries_than_the_bound_are_under_way(world):
    lock, now, most = threading.Lock(), Counter[str](), Counter[str]()

    def slowly(handler: Handler) -> None:
        with lock:
            now["tries"] += 1
        handler.reply(500, b"bad", after=0.4)

    world.apps[0].answer = slowly
    statuses: Counter[int] = Counter()

    def one(_: int) -> None:
        statuses[ask("bounded").status] += 1

    at_once(8, one)
    assert statuses == {500: 8}
    # Two at a time, for two tries each at most, while the first eight end together.
    assert 8 + 2 <= now["tries"] <= 8 + 4, most
    now.clear()
    assert ask("bounded").status == 500
    assert now["tries"] == 3


@pytest.mark.parametrize("name", ["waiting", "waiting-hop"])
def test_so_many_wait_for_a_connection_and_the_others_are_refused_at_once(world, name):
    world.apps[0].answer = lambda handler: handler.reply(200, b"0", after=0.4)
    found: list[tuple[int, float]] = []

    def one(_: int) -> None:
        answer = ask(name)
        found.append((answer.status, answer.seconds))

    at_once(7, one)
    assert Counter(status for status, _ in found) == {200: 3, 503: 4}
    assert max(seconds for status, seconds in found if status == 503) < 0.35
    # One after the other, and the place is free again.
    assert 1.15 < max(seconds for _, seconds in found) < 2
    assert ask(name).seconds < 0.6


def test_who_waits_has_no_more_time(world):
    world.apps[0].answer = lambda handler: handler.reply(200, b"0", after=0.4)
    found: list[tuple[int, float]] = []

    def one(_: int) -> None:
        answer = ask("waiting-less")
        found.append((answer.status, answer.seconds))

    at_once(3, one)
    assert Counter(status for status, _ in found) == {200: 1, 504: 2}
    assert min(seconds for status, seconds in found if status == 504) > 0.59
    assert max(seconds for _, seconds in found) < 0.9


def test_who_goes_away_waits_no_longer(world):
    world.apps[0].answer = lambda handler: handler.reply(200, b"0", after=0.6)

    def gives_up(number: int) -> None:
        if number == 0:
            assert ask("waiting").status == 200
            return
        time.sleep(0.1)
        with pytest.raises(TimeoutError):
            ask("waiting", timeout=0.2)

    at_once(3, gives_up)
    time.sleep(0.3)
    assert len(world.apps[0].seen) == 1
    assert ask("waiting").seconds < 0.9
