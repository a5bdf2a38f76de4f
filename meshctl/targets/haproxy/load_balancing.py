"""Which server of a section a request goes to."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import assert_never

from meshctl import ir
from meshctl.targets.haproxy import quoting
from meshctl.targets.haproxy.quoting import Token

HEAVIEST = 256
"""The largest weight that a server line takes."""

_PLACES = 2**20
"""HAProxy multiplies a server's number by 4096 for its place on the ring, in 32 bits."""


def algorithm(load_balancing: ir.LoadBalancing) -> Token:
    """What stands behind ``balance``."""
    match load_balancing.policy:
        case ir.LoadBalancingPolicy.ROUND_ROBIN:
            return Token("roundrobin")
        case ir.LoadBalancingPolicy.LEAST_REQUEST:
            # As long as all are idle, leastconn takes no notice of weights.
            return Token("random(2)")
        case ir.LoadBalancingPolicy.RANDOM:
            return Token("random(1)")
        case ir.LoadBalancingPolicy.RING_HASH:
            return Token("hash var(txn.key)")
        case _:
            assert_never(load_balancing.policy)


def is_ring(load_balancing: ir.LoadBalancing) -> bool:
    """Whether requests with the same key go to the same endpoint."""
    return load_balancing.hash_on is not None


def key(load_balancing: ir.LoadBalancing) -> Token | None:
    """The sample that is hashed; none for the policies that hash nothing."""
    if load_balancing.hash_on is None:
        return None
    match load_balancing.hash_on.key:
        case ir.HashKey.HEADER:
            return quoting.first_header(load_balancing.hash_on.name)
        case ir.HashKey.COOKIE:
            return quoting.cookie(load_balancing.hash_on.name)
        case ir.HashKey.SOURCE_ADDRESS:
            # Only the first section sees the client; to those below it is told by a header.
            return Token("req.fhdr(x-mesh-key)")
        case _:
            assert_never(load_balancing.hash_on.key)


def follows_source(load_balancing: ir.LoadBalancing) -> bool:
    """Whether the key is the client's address."""
    return load_balancing.hash_on is not None and load_balancing.hash_on.key is ir.HashKey.SOURCE_ADDRESS


def weights(load_balancing: ir.LoadBalancing, endpoints: Sequence[ir.Endpoint]) -> list[int]:
    """As they stand, but where they are points on a ring: the more of them, the nearer each share is to its weight.

    HAProxy also draws at random by a place on that ring.
    """
    found = [endpoint.weight for endpoint in endpoints]
    in_turn = load_balancing.policy is ir.LoadBalancingPolicy.ROUND_ROBIN
    scale = 1 if in_turn else max(HEAVIEST // max(found, default=1), 1)
    return [weight * scale for weight in found]


def places(load_balancing: ir.LoadBalancing, endpoints: Sequence[ir.Endpoint]) -> list[int | None]:
    """Places on the ring that follow from addresses, so that a key stays when other endpoints come and go."""
    if not is_ring(load_balancing):
        return [None] * len(endpoints)
    found: dict[str, int] = {}
    taken: set[int] = set()
    for address in sorted({str(endpoint.socket) for endpoint in endpoints}):
        number = zlib.crc32(address.encode()) % _PLACES or 1
        while number in taken:
            number = number % (_PLACES - 1) + 1
        taken.add(number)
        found[address] = number
    return [found[str(endpoint.socket)] for endpoint in endpoints]
