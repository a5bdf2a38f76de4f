"""What HAProxy is told of levels, rings and checks."""

from __future__ import annotations

import re

import pytest
from hpack import Decoder
from msgspec import structs

from meshctl import ir
from meshctl.resources import folder
from meshctl.targets.haproxy import failover, health_checks, load_balancing
from meshctl.targets.haproxy.quoting import Token
from tests.sidecars import WRITTEN, cluster

RING = ir.LoadBalancing(ir.LoadBalancingPolicy.RING_HASH, ir.HashOn(ir.HashKey.HEADER, "x-user"), WRITTEN)
TURNS = ir.LoadBalancing(ir.LoadBalancingPolicy.ROUND_ROBIN)


def endpoints(*addresses):
    return cluster("catalog", *((address, 15006, 1) for address in addresses)).endpoints


def leveled(*priorities):
    made = cluster("catalog", *((f"10.0.0.{number}", 15006, 1) for number in range(len(priorities))))
    pairs = zip(made.endpoints, priorities, strict=True)
    return structs.replace(
        made, endpoints=tuple(structs.replace(each, priority=priority) for each, priority in pairs)
    )


@pytest.mark.parametrize(
    ("priorities", "sections"),
    [
        ((0, 0), ["e1 e2"]),
        ((0, 1, 0), ["e1 e3 e2*"]),
        ((0, 1, 2), ["e1 next*", "e2 e3*"]),
        ((3, 2, 1, 0, 0), ["e4 e5 next*", "e3 next*", "e2 e1*"]),
    ],
)
def test_levels_become_backups_and_sections_that_lead_to_one_another(priorities, sections):
    made = leveled(*priorities)
    lines = [Token(f"server e{number} there") for number in range(1, len(priorities) + 1)]
    servers, levels = failover.split(made, lines, Token("catalog:1"), lambda name: Token(f"abns@{name}"))
    found = [servers, *(each.servers for each in levels)]
    assert [
        " ".join(line.split()[1] + "*" * line.endswith(" backup") for line in section) for section in found
    ] == sections
    led_to = [line.split()[2] for section in found for line in section if line.startswith("server next")]
    assert led_to == [each.bind for each in levels]


def test_places_on_a_ring_follow_addresses_and_are_never_shared():
    many = endpoints(*(f"10.{high}.{low}.1" for high in range(30) for low in range(100)))
    places = load_balancing.places(RING, many)
    assert len(set(places)) == len(many)
    assert all(place is not None and 0 < place < 2**20 for place in places)
    assert load_balancing.places(RING, many[1:50]) == places[1:50]
    assert load_balancing.places(TURNS, many[:3]) == [None] * 3


@pytest.mark.parametrize(
    ("weights", "on_a_ring"), [((1, 1), [256, 256]), ((1, 3), [85, 255]), ((200, 1), [200, 1])]
)
def test_weights_are_as_many_points_of_a_ring_as_can_be(weights, on_a_ring):
    made = cluster("catalog", *(("10.0.0.1", port, weight) for port, weight in enumerate(weights, start=1)))
    assert load_balancing.weights(RING, made.endpoints) == on_a_ring
    assert load_balancing.weights(TURNS, made.endpoints) == list(weights)


@pytest.mark.parametrize("host", ["catalog.shop.mesh", "x" * 200 + ".mesh"])
def test_a_check_of_grpc_is_a_call_that_any_server_reads(host):
    frames = health_checks._frames(host)
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    assert frames.startswith(preface)
    rest, found = frames[len(preface) :], []
    while rest:
        length = int.from_bytes(rest[:3], "big")
        found.append((rest[3], rest[4], int.from_bytes(rest[5:9], "big"), rest[9 : 9 + length]))
        rest = rest[9 + length :]
    settings, headers, data = found
    assert settings == (4, 0, 0, b"")
    assert headers[:3] == (1, 4, 1)
    decoded: list[object] = [tuple(each) for each in Decoder().decode(headers[3])]
    assert decoded == [
        (":method", "POST"),
        (":scheme", "https"),
        (":path", "/grpc.health.v1.Health/Check"),
        (":authority", host),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ]
    assert data == (0, 1, 1, bytes(5))


def test_a_check_says_whom_it_expects():
    every = ir.HealthCheck(
        ir.HealthCheckKind.HTTP,
        "/it's %[env(HOME)]",
        "catalog.shop.mesh",
        *(cluster("c").connect_timeout,) * 2,
        unhealthy_threshold=3,
        healthy_threshold=2,
        at=WRITTEN,
    )
    made = health_checks.check(structs.replace(cluster("catalog"), health_check=every))
    assert made is not None
    assert (
        made.words
        == "check inter 1000ms fall 3 rise 2 check-sni catalog.spiffe.shop.example check-alpn http/1.1"
    )
    assert re.search(r"uri '/it'\\''s %\[env\(HOME\)\]' ver", made.lines[1])


def test_copies_hand_no_function_of_their_own_to_haproxy():
    """HAProxy 2.6 keeps each function that a task was made of, and with it a copy's body, for ever."""
    program = (folder("templates") / "haproxy" / "mirrors.lua").read_text("utf-8")
    assert re.findall(r"register_task\(([^)]*)\)", program) == ["send_next"]
