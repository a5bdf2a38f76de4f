"""Rate limits and faults on NGINX."""

from __future__ import annotations

import http.client
import socket
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from msgspec import structs

from meshctl import ir
from tests.proxies import nginx_fixtures
from tests.proxies.nginx_fixtures import App, new_authority, request, running, start
from tests.sidecars import WRITTEN, cluster, identity, route, sidecar, virtual_host
from tests.turns import turn

pytestmark = pytest.mark.xdist_group("nginx-limits")

WEB, SHOP, ALL, EACH, FAST = "127.36.2.1", "127.36.2.2", "127.36.2.3", "127.36.2.4", "127.36.2.5"
FREE, SLOW = "127.36.2.6", "127.36.2.7"
HEALTH = ir.PathMatch(ir.PathMatchKind.EXACT, "/healthz")
SHORT = ir.Timeout(timedelta(milliseconds=200), at=WRITTEN)
PAUSE = timedelta(milliseconds=400)


def delay(share: Fraction, duration: timedelta = PAUSE) -> ir.Delay:
    return ir.Delay(duration, share, at=WRITTEN)


def abort(status: int, share: Fraction) -> ir.Abort:
    return ir.Abort(status, share, at=WRITTEN)


FAULTS = {
    "always": ir.Fault(abort=abort(418, Fraction(1))),
    "ok": ir.Fault(abort=abort(200, Fraction(1))),
    "empty": ir.Fault(abort=abort(204, Fraction(1))),
    "never": ir.Fault(delay(Fraction(0)), abort(500, Fraction(0))),
    "some": ir.Fault(abort=abort(503, Fraction(3, 10))),
    "late": ir.Fault(delay(Fraction(1))),
    "late-abort": ir.Fault(delay(Fraction(1)), abort(503, Fraction(1))),
    "very-late": ir.Fault(delay(Fraction(1), timedelta(seconds=3))),
    "each-draws": ir.Fault(delay(Fraction(1, 2), timedelta(milliseconds=50)), abort(503, Fraction(1, 2))),
}


def limited(service: str, address: str, limit: ir.RateLimit) -> ir.Sidecar:
    made = sidecar(service, ir.Proxy.NGINX, address=address, callers=("web", "shop"))
    assert made.inbound is not None
    exempt = ir.AuthorizationRule((identity("web"),), paths=(HEALTH,))
    authorization = structs.replace(made.inbound.authorization, exempt=(exempt,))
    return structs.replace(
        made, inbound=structs.replace(made.inbound, authorization=authorization, rate_limit=limit)
    )


def calling(service: str, address: str) -> ir.Sidecar:
    callees = {"all": ALL, "each": EACH, "fast": FAST, "slow": SLOW, "free": FREE}
    faults = tuple(
        virtual_host(name, route(name, ("free", 1), fault=fault, timeout=SHORT))
        for name, fault in FAULTS.items()
    )
    return sidecar(
        service,
        ir.Proxy.NGINX,
        address=address,
        virtual_hosts=(
            *(virtual_host(name, route("r", (name, 1))) for name in callees if name != "free"),
            *faults,
        ),
        clusters=tuple(cluster(name, (at, 15006, 1)) for name, at in callees.items()),
    )


LIMITS = {
    "all": (ALL, ir.RateLimit(3, timedelta(seconds=6), burst=5, by_caller=False, at=WRITTEN)),
    "each": (EACH, ir.RateLimit(1, timedelta(hours=1), burst=4, by_caller=True, at=WRITTEN)),
    "slow": (SLOW, ir.RateLimit(1, timedelta(hours=1), burst=10, by_caller=True, at=WRITTEN)),
    "fast": (FAST, ir.RateLimit(50, timedelta(seconds=1), burst=10, by_caller=False, at=WRITTEN)),
}


def start_slowly(made: ir.Sidecar, bundle: Path) -> subprocess.Popen[bytes]:
    """With time between reading a bucket and writing it, so that two workers would meet there."""
    program = bundle / "nginx" / "rate_limiting.lua"
    text = program.read_text()
    changed = text.replace("    if full > now", "    for _ = 1, 3e6 do end\n    if full > now")
    assert changed != text
    program.write_text(changed)
    return start(made, bundle)


class World:
    def __init__(self, folder, stack: ExitStack) -> None:
        signer = new_authority()
        self.apps = {name: App(address) for name, (address, _) in LIMITS.items()}
        self.apps["free"] = App(FREE)
        self.web = stack.enter_context(running(calling("web", WEB), folder / "web", signer))
        stack.enter_context(running(calling("shop", SHOP), folder / "shop", signer))
        free = sidecar("free", ir.Proxy.NGINX, address=FREE, callers=("web",))
        stack.enter_context(running(free, folder / "free", signer))
        self.sidecars = []
        for name, (address, limit) in LIMITS.items():
            monkeypatch = stack.enter_context(pytest.MonkeyPatch.context())
            if name == "slow":
                monkeypatch.setattr(nginx_fixtures, "start", start_slowly)
            made = running(limited(name, address, limit), folder / name, signer)
            self.sidecars.append(stack.enter_context(made))
            monkeypatch.undo()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with turn("127.36.2"), ExitStack() as stack:
        live = World(tmp_path_factory.mktemp("limits"), stack)
        yield live
        for app in live.apps.values():
            app.stop()
        assert [each.errors() for each in (live.web, *live.sidecars)] == [""] * 5


def statuses(address: str, name: str, count: int, target: str = "/") -> Counter[int]:
    """Of requests at the same time, so that both workers have some."""
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda _: request(address, target, host=name).status, range(count))
        return Counter(answers)


def test_a_burst_passes_exactly_and_tokens_come_evenly(world):
    assert statuses(WEB, "all", 30) == {200: 5, 429: 25}
    refused = request(SHOP, host="all")
    assert (refused.status, refused.header("retry-after")) == (429, ["2"])
    time.sleep(2.1)
    assert statuses(SHOP, "all", 10) == {200: 1, 429: 9}
    assert len(world.apps["all"].seen) == 6
    line = world.sidecars[0].last_log()[0]
    assert (line["status"], line["direction"], line["upstream"]) == (429, "inbound", "")


def test_each_caller_has_a_bucket_and_what_is_exempt_takes_nothing(world):
    assert statuses(WEB, "each", 8, "/healthz") == {200: 8}
    assert statuses(WEB, "each", 20) == {200: 4, 429: 16}
    assert statuses(SHOP, "each", 20) == {200: 4, 429: 16}
    assert statuses(WEB, "each", 8, "/healthz") == {200: 8}
    assert request(WEB, host="each").header("retry-after") == ["3600"]


def test_two_workers_give_no_token_twice(world):
    assert statuses(WEB, "slow", 60) == {200: 10, 429: 50}


def test_a_rate_is_kept(world):
    started = time.monotonic()
    stop = started + 3
    found: Counter[int] = Counter()
    guard = threading.Lock()

    def ask() -> None:
        while time.monotonic() < stop:
            status = request(WEB, host="fast").status
            with guard:
                found[status] += 1

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    most = 10 + 50 * (time.monotonic() - started)
    assert found[429] > 50
    assert most - 12 <= found[200] <= most + 1


@pytest.mark.parametrize(("host", "status"), [("always", 418), ("ok", 200), ("empty", 204)])
def test_an_abort_is_the_answer_and_nobody_is_asked(world, host, status):
    app = world.apps["free"]
    app.seen.clear()
    with closing(http.client.HTTPConnection(WEB, 15001, timeout=5)) as connection:
        for _ in range(2):
            answer = request(WEB, host=host, connection=connection, method="POST", body=b"x" * 70_000)
            assert (answer.status, answer.body, answer.header("server")) == (status, b"", [])
    assert not app.seen
    line = world.web.last_log()[0]
    assert (line["status"], line["route"], line["upstream"], line["flags"]) == (status, host, "", "F")


def test_a_share_of_nothing_fails_nothing(world):
    assert statuses(WEB, "never", 40) == {200: 40}


def test_a_share_is_kept(world):
    found = statuses(WEB, "some", 1000)
    assert 230 <= found[503] <= 370
    # On a busy machine some run out of the 200 ms that they have.
    assert found[200] + found[503] + found[504] == 1000


def test_the_delay_is_outside_the_timeout(world):
    world.apps["free"].answer = lambda handler: handler.reply(200, b"hello", after=0.1)
    answer = request(WEB, host="late", method="POST", body=b"body")
    assert (answer.status, world.apps["free"].seen[-1].body) == (200, b"body")
    assert 0.5 <= answer.seconds < 1.5
    world.apps["free"].answer = lambda handler: handler.reply(200, b"hello", after=0.5)
    answer = request(WEB, host="late")
    assert answer.status == 504
    assert 0.6 <= answer.seconds < 1.5
    world.apps["free"].answer = lambda handler: handler.reply(200, b"hello")
    answer = request(WEB, host="late-abort")
    assert answer.status == 503
    assert 0.4 <= answer.seconds < 1.5


def test_the_draws_do_not_know_of_each_other(world):
    found: Counter[tuple[int, bool]] = Counter()
    with ThreadPoolExecutor(8) as pool:
        for answer in pool.map(lambda _: request(WEB, host="each-draws"), range(400)):
            found[answer.status, answer.seconds > 0.049] += 1
    assert found[503, True] > 60
    assert found[200, True] > 60
    assert found[200, False] + found[503, False] > 60


@pytest.mark.parametrize("body", [b"", b"content-length: 5\r\n", b"content-length: 5\r\n\r\nhello"])
def test_a_client_that_goes_away_is_delayed_no_longer(world, body):
    app = world.apps["free"]
    app.seen.clear()
    before = len(world.web.log())
    with socket.create_connection((WEB, 15001), 5) as connection:
        head = b"POST / HTTP/1.1\r\nhost: very-late\r\n"
        connection.sendall(head + (body if b"hello" in body else body + b"\r\n"))
        time.sleep(0.2)
    (line,) = world.web.last_log(before + 1)[-1:]
    assert line["duration_ms"] < 1500
    time.sleep(3.2)
    assert not app.seen
