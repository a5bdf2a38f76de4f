"""Which endpoint of a cluster a request goes to."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from meshctl.diagnostics import Position
from meshctl.ir.features import Feature, Needs
from meshctl.ir.written import Written


class LoadBalancingPolicy(StrEnum):
    """The policies of the language.

    LEAST_REQUEST: an endpoint with few requests under way from this sidecar, the least of two drawn at random
    or of all. RING_HASH: requests with the same key go to the same endpoint as long as it is there; when one
    comes or goes only its share of the keys moves. Which endpoint a key means differs between proxies.
    """

    ROUND_ROBIN = "round-robin"
    LEAST_REQUEST = "least-request"
    RANDOM = "random"
    RING_HASH = "ring-hash"


class HashKey(StrEnum):
    """What requests must share to go to the same endpoint."""

    HEADER = "header"
    COOKIE = "cookie"
    SOURCE_ADDRESS = "source address"


_FEATURES = {
    LoadBalancingPolicy.ROUND_ROBIN: (Feature.ROUND_ROBIN,),
    LoadBalancingPolicy.LEAST_REQUEST: (Feature.LEAST_REQUEST,),
    LoadBalancingPolicy.RANDOM: (Feature.RANDOM,),
    LoadBalancingPolicy.RING_HASH: (Feature.RING_HASH,),
}

_KEY_FEATURES = {
    HashKey.HEADER: (Feature.HASH_ON_HEADER,),
    HashKey.COOKIE: (Feature.HASH_ON_COOKIE,),
    HashKey.SOURCE_ADDRESS: (Feature.HASH_ON_SOURCE_ADDRESS,),
}


class HashOn(Written, frozen=True):
    """The key of a ring: the whole value of the first line of a header, or of a cookie, or the client's address.

    ``name`` is the header's in lower case, or the cookie's as it is written; empty for the address. A request
    without the key may go anywhere. The sidecar sets no cookie of its own.
    """

    key: Annotated[HashKey, Needs(_KEY_FEATURES.__getitem__)]
    name: str
    at: Position | None = None


class LoadBalancing(Written, frozen=True):
    """The policy of one cluster; endpoint weights are honoured by all of them.

    ``hash_on`` is set with RING_HASH, and with it alone.
    """

    policy: Annotated[LoadBalancingPolicy, Needs(_FEATURES.__getitem__)]
    hash_on: HashOn | None = None
    at: Position | None = None
