"""`loadBalancing`: which endpoint a request goes to."""

from __future__ import annotations

from typing import Literal

from meshctl.spec.http_types import CookieName, HeaderName
from meshctl.spec.matching import Present
from meshctl.spec.types import Given, Model


class HashOnSpec(Model):
    """Exactly one: what requests must share to go to the same endpoint."""

    header: Given[HeaderName] = None
    cookie: Given[CookieName] = None
    source_address: Given[Present] = None


class LoadBalancingSpec(Model):
    """`hashOn` belongs to ring-hash, and to it alone."""

    policy: Literal["round-robin", "least-request", "random", "ring-hash"]
    hash_on: Given[HashOnSpec] = None
