"""What only Envoy's own ways could get wrong about balancing, ejection, copies, faults, gRPC and upgrades."""

from __future__ import annotations

import collections
import contextlib
import os
import socket
from datetime import timedelta
from fractions import Fraction

import pytest
from msgspec import structs

from meshctl import ir
from tests import sidecars
from tests.proxies import envoy_fixtures as fixtures
from tests.proxies import envoy_http2 as http2
from tests.proxies.envoy_fixtures import App, Authority, Client, ask
from tests.sidecars import WRITTEN, cluster, route, virtual_host

NETWORK = f"127.32.{os.getpid() % 200 + 50}"
WEB, ONE, TWO, THREE, DEAD, REMOTE = (f"{NETWORK}.{number}" for number in range(1, 7))
pytestmark = pytest.mark.xdist_group("envoy-policies")

SECOND = timedelta(seconds=1)
LIMITS = [
    (2, Fraction(1)),
    (3, Fraction(1, 2)),
    (3, Fraction(2, 3)),
    (4, Fraction(1, 100)),
    (7, Fraction(1, 2)),
]
FAULTS = {425: "hop", 470: "carried", 418: "teapot"}


def to(backend, path, **others):
    match = ir.RouteMatch(ir.PathMatch(ir.PathMatchKind.PREFIX, path), (), ())
    return route(path[1:], (backend, 1), match=match, retries=sidecars.NO_RETRIES, **others)


def named(name, *endpoints, **others):
    return structs.replace(cluster("catalog", *endpoints), name=name, **others)


def balanced(name, policy, *weights, hash_on=None):
    endpoints = zip((ONE, TWO, THREE), weights, strict=True)
    balancing = ir.LoadBalancing(policy, hash_on, WRITTEN)
    return named(name, *((each, 15006, weight) for each, weight in endpoints), load_balancing=balancing)


def ejecting(number, endpoints, share):
    """Nobody listens at any of them."""
    dead = ((DEAD, port, 1) for port in range(20000, 20000 + endpoints))
    detection = ir.OutlierDetection(1, timedelta(minutes=1), timedelta(minutes=1), share, WRITTEN)
    return named(f"limit{number}", *dead, outlier_detection=detection)


CLUSTERS = (
    balanced("header", ir.LoadBalancingPolicy.RING_HASH, 1, 1, 1, hash_on=ir.HashOn(ir.HashKey.HEADER, "x-user", WRITTEN)),
    balanced("source", ir.LoadBalancingPolicy.RING_HASH, 1, 1, 1, hash_on=ir.HashOn(ir.HashKey.SOURCE_ADDRESS, "", WRITTEN)),
    balanced("random", ir.LoadBalancingPolicy.RANDOM, 1, 2, 3),
    named("copies", (TWO, 15006, 1)),
    named("one", (ONE, 15006, 1)),
    *(ejecting(number, *each) for number, each in enumerate(LIMITS)),
)  # fmt: skip

ROUTES = (
    *(to(name, f"/{name}") for name in ("header", "source", "random")),
    *(to(f"limit{number}", f"/limit{number}") for number in range(len(LIMITS))),
    to("one", "/mirrored", mirrors=(ir.Mirror("copies", Fraction(1), WRITTEN),)),
    *(
        to("one", f"/{name}", fault=ir.Fault(abort=ir.Abort(status, Fraction(1), WRITTEN)))
        for status, name in FAULTS.items()
    ),
    to("one", "/one"),
)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    authority = Authority()
    web = fixtures.caller(WEB, virtual_host("catalog", *ROUTES), clusters=CLUSTERS)
    callees = []
    for number, address in enumerate((ONE, TWO, THREE), start=1):
        made = fixtures.callee("catalog", address, "web")
        callees.append(structs.replace(made, instance=str(number)))
    remote = fixtures.callee("remote", REMOTE, "web")
    speaking = structs.replace(remote.inbound, protocol=ir.Protocol.GRPC)
    remote = structs.replace(remote, inbound=speaking)
    root = tmp_path_factory.mktemp("policies")
    with fixtures.running(root, authority, web, *callees, remote) as started:
        yield started


@pytest.fixture(scope="module")
def apps(mesh):
    with contextlib.ExitStack() as stack:
        yield {each: stack.enter_context(App(each)) for each in (ONE, TWO, THREE)}


def reached(target, *headers):
    return ask(WEB, "GET", target, headers=headers).body.decode()


def test_a_ring_knows_the_first_line_of_a_header_alone(mesh, apps):
    users = [f"user-{number}" for number in range(48)]
    alone = {user: reached("/header", ("x-user", user)) for user in users}
    assert len(set(alone.values())) == 3
    for user in users:
        for other in users[:4]:
            assert reached("/header", ("x-user", user), ("x-user", other)) == alone[user]


@pytest.mark.parametrize("headers", [(), (("x-user", ""),)])
def test_who_has_no_key_goes_anywhere(mesh, apps, headers):
    assert len({reached("/header", *headers) for _ in range(40)}) == 3


def test_no_client_says_where_it_comes_from(mesh, apps):
    claims = [(("x-forwarded-for", f"192.0.2.{number}"),) for number in range(20)]
    assert len({reached("/source", *claim) for claim in claims}) == 1


def test_random_counts_weights(mesh, apps):
    with fixtures.Kept(WEB) as client:
        found = collections.Counter(client.ask("GET", "/random").body.decode() for _ in range(1200))
    # Five standard deviations; without weights each would have 400.
    assert 135 < found[ONE] < 265
    assert 320 < found[TWO] < 480
    assert 510 < found[THREE] < 690


@pytest.mark.parametrize("number", range(len(LIMITS)))
def test_no_more_are_ejected_than_may_be(mesh, number):
    endpoints, share = LIMITS[number]
    for _ in range(4 * endpoints):
        assert ask(WEB, "GET", f"/limit{number}").status == 503
    detection = ir.OutlierDetection(1, SECOND, SECOND, share)
    asked = f"/stats?filter=cluster.limit{number}.outlier_detection.ejections_active"
    assert interface(mesh["web"].bundle, asked).endswith(f": {detection.limit(endpoints)}\n")


def interface(bundle, target):
    """What Envoy's own admin interface says."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(bundle / "run" / "admin.sock"))
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
    chunked = answer.partition(b"\r\n\r\n")[2].decode()
    return "".join(line + "\n" for line in chunked.splitlines() if ":" in line)


@pytest.mark.parametrize("headers", [(), (("x-forwarded-for", "192.0.2.7"), ("x-mesh-copy", "1"))])
def test_a_copy_has_no_header_of_envoys(mesh, apps, headers):
    for app in apps.values():
        app.seen.clear()
    assert ask(WEB, "POST", "/mirrored", headers=(("x-a", "b"), *headers), body=b"abc").status == 200
    fixtures.wait_for(lambda: apps[TWO].seen)
    (original,), (copy,) = apps[ONE].seen, apps[TWO].seen
    assert (copy["method"], copy["target"], copy["body"]) == ("POST", "/mirrored", 3)
    ours = ("x-mesh-copy", "1")
    assert sorted(copy["headers"]) == sorted(each for each in original["headers"] if each != ours)


@pytest.mark.parametrize("status", FAULTS)
def test_an_abort_has_the_status_that_was_asked_for(mesh, apps, status):
    answer = ask(WEB, "GET", f"/{FAULTS[status]}")
    assert (answer.status, answer.values("x-mesh-status")) == (status, [])


def test_headers_of_clients_cause_no_faults(mesh, apps):
    asked = [("x-envoy-fault-abort-request", "500"), ("x-envoy-fault-abort-request-percentage", "100")]
    assert ask(WEB, "GET", "/one", headers=asked).status == 200


@pytest.mark.parametrize("kind", ["application/grpc", "application/grpc+proto", "text/plain"])
def test_a_dead_application_is_a_plain_status_on_the_hop(mesh, kind):
    """gRPC or not: Envoy by itself would say 200 to the one."""
    context = fixtures.client_context(mesh["web"].bundle)
    fields = http2.head("POST", "/a.B/C", "remote", ("content-type", kind), ("te", "trailers"))
    answer = http2.ask(REMOTE, 15006, context, "remote.shop.mesh", fields, b"x")
    names = {name for name, _ in answer.headers}
    assert answer.status == 425
    assert not names & {"grpc-status", "grpc-message", "x-mesh-status"}


def test_what_the_sidecar_says_itself_to_grpc(mesh):
    context = fixtures.client_context(mesh["web"].bundle)
    fields = http2.head("POST", "/a/../b", "remote", ("content-type", "application/grpc"))
    answer = http2.ask(REMOTE, 15006, context, "remote.shop.mesh", fields, b"x")
    assert (answer.status, answer.values("grpc-status"), answer.body) == (200, ["13"], b"")


def test_no_other_protocol_is_changed_to(mesh, apps):
    with Client(WEB) as client:
        client.send(b"GET /one HTTP/1.1\r\nHost: catalog\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n")
        assert client.receive().status == 403
