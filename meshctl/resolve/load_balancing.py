"""Balancing: round-robin where the spec is silent; a ring needs a key, and nothing else has one."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position
from meshctl.resolve import matching
from meshctl.resolve.layers import Layers, particular, said
from meshctl.spec.load_balancing import LoadBalancingSpec


def load_balancing(layers: Layers, *, stream: bool = False) -> ir.LoadBalancing:
    """The policy of a cluster: the most particular layer's as a whole.

    In a ``stream`` there are no headers, so what `defaults` hash on there leaves nothing but turns.
    """
    for written, at in said(layers, "load_balancing", "loadBalancing"):
        if stream and written.hash_on is not None and not written.hash_on.source_address:
            break
        return ir.LoadBalancing(ir.LoadBalancingPolicy(written.policy), _hash_on(written, at), at)
    return ir.LoadBalancing(ir.LoadBalancingPolicy.ROUND_ROBIN)


def _hash_on(written: LoadBalancingSpec, at: Position | None) -> ir.HashOn | None:
    keys = written.hash_on
    if keys is None or written.policy != "ring-hash":
        return None
    if keys.header is not None:
        return ir.HashOn(ir.HashKey.HEADER, keys.header.lower(), at)
    if keys.cookie is not None:
        return ir.HashOn(ir.HashKey.COOKIE, keys.cookie, at)
    return ir.HashOn(ir.HashKey.SOURCE_ADDRESS, "", at)


def check(layers: Layers, *, gateway: bool, stream: bool) -> Iterator[Finding]:
    """A ring without a key, a key without a ring, and keys that nobody can see here."""
    for layer in layers:
        written = layer.says.get("load_balancing")
        if written is None:
            continue
        here = layer.source["loadBalancing"]
        hashed = written.policy == "ring-hash"
        if hashed and written.hash_on is None:
            yield finding("hash-misplaced", here.at("policy"), "`ring-hash` needs a `hashOn`")
        if written.hash_on is None:
            continue
        if not hashed:
            message = f"`{written.policy}` does not look at a hash"
            yield finding("hash-misplaced", here.at("hashOn"), message)
        kinds = (written.hash_on.header, written.hash_on.cookie, written.hash_on.source_address)
        if sum(each is not None for each in kinds) != 1:
            message = "a hash is made of one of `header`, `cookie` and `sourceAddress`"
            yield finding("not-exactly-one", here.at("hashOn"), message)
        if written.hash_on.header is not None and matching.is_of_the_mesh(written.hash_on.header):
            yield matching.of_the_mesh(written.hash_on.header, here["hashOn"].value_at("header"))
        if written.hash_on.source_address and not (gateway and layer is layers[-1]):
            at = here.at("hashOn", "sourceAddress")
            yield finding("source-address-unknown", at, "the client's address is not known here")
        if stream and layer in particular(layers) and not written.hash_on.source_address:
            message = "a hash on a header or a cookie speaks of requests, and this callee is a TCP stream"
            yield finding("needs-http", here.at("hashOn"), message)
