"""What a sidecar's files have to say, taken from the resolved model and from nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from meshctl.artifacts import TRUST_BUNDLE
from meshctl.ir import AuthorizationRule, Cluster, Sidecar, SocketAddress, TlsVersion
from meshctl.ir.mesh import UNTRUSTED_HEADERS

TRUST = f"../{TRUST_BUNDLE}"
"""The mesh's CAs, as the files of a proxy name them."""


class Transport(Struct, frozen=True):
    """TLS to a destination: the name and the file of CAs that are verified. No name stands for the request's host."""

    name: str
    authorities: str = TRUST
    spiffe_id: str = ""
    """Of a callee in the mesh, to which this sidecar shows its own certificate."""


PLAIN = None
"""In the place of a Transport: no TLS."""


def transport(cluster: Cluster) -> Transport | None:
    """How ``cluster`` has to be spoken to."""
    if cluster.identity is not None:
        its = cluster.identity
        return PLAIN if cluster.plaintext else Transport(its.server_name, spiffe_id=its.spiffe_id)
    tls = cluster.origin.tls if cluster.origin is not None else None
    return PLAIN if tls is None else Transport(tls.server_name, tls.authorities)


class Versions(Struct, frozen=True):
    """What TLS may be spoken: versions from ``minimum`` to ``maximum``; the suites of TLS 1.2 that were asked for, empty for the safe ones."""

    minimum: TlsVersion
    maximum: TlsVersion
    suites: tuple[str, ...] = ()


SAFE_SUITES = frozenset(
    f"ECDHE-{key}-{cipher}"
    for key in ("ECDSA", "RSA")
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
)
"""Of TLS 1.2, by OpenSSL's names: forward secret, authenticated, and none with CBC (RFC 9325, 4.2)."""


def within(sidecar: Sidecar) -> frozenset[Versions]:
    """What is spoken with other sidecars."""
    its = sidecar.tls
    return frozenset((Versions(its.minimum_version, its.maximum_version, its.cipher_suites),))


def outside(sidecar: Sidecar) -> frozenset[Versions]:
    """What is spoken with those outside the mesh, clients and destinations."""
    origins = [each.origin.tls for each in sidecar.clusters if each.origin is not None]
    asked = [sidecar.outbound.tls, *origins]
    return frozenset(Versions(each.minimum_version, TlsVersion.V1_3) for each in asked if each is not None)


def untrusted(header: str) -> bool:
    """Whether it is, in some spelling, one of the headers that nobody may say of himself."""
    return header.lower().replace("_", "-").replace(".", "-") in UNTRUSTED_HEADERS


def destinations(cluster: Cluster) -> tuple[str, ...]:
    """Addresses, or names, that lead to ``cluster``; one that follows the request's host is ``*``."""
    if cluster.dns is not None:
        return (cluster.dns.name or "*",)
    return tuple(str(each.socket) for each in cluster.endpoints)


def listeners(sidecar: Sidecar) -> frozenset[SocketAddress]:
    """Every address that the sidecar is to listen on."""
    return frozenset(_listeners(sidecar))


def _listeners(sidecar: Sidecar) -> Iterator[SocketAddress]:
    yield sidecar.admin.bind
    for listener in (sidecar.outbound, *sidecar.locals):
        yield from listener.binds
    for stream in sidecar.tcp:
        yield from stream.binds
    if sidecar.inbound is not None:
        yield from sidecar.inbound.binds
    if sidecar.health is not None:
        yield from sidecar.health.binds


def callers(sidecar: Sidecar) -> frozenset[str]:
    """The services that any rule of the sidecar's own names."""
    if sidecar.inbound is None:
        return frozenset()
    its = sidecar.inbound.authorization
    rules = (*its.exempt, *its.deny, *its.rules)
    return frozenset(each.service for rule in rules for each in rule.principals)


def rules(sidecar: Sidecar) -> list[tuple[str, AuthorizationRule]]:
    """The rules that hold for anybody, with their kinds, in the order in which they are asked."""
    if sidecar.inbound is None:
        return []
    its = sidecar.inbound.authorization
    kinds = (("exempt", its.exempt), ("deny", its.deny), ("allow", its.rules))
    return [
        (kind, rule)
        for kind, written in kinds
        for rule in written
        if rule.principals or rule.anyone or rule.unauthenticated
    ]


def lets_anyone_in(sidecar: Sidecar) -> bool:
    """Whether some rule is about everybody in the mesh."""
    return any(rule.anyone for _, rule in rules(sidecar))


def same_verdicts(found: list[str], wanted: list[str]) -> bool:
    """Whether rules are asked as they should be. Exempt and allowed are one word where no limit tells them apart."""
    return found == wanted or found == ["allow" if each == "exempt" else each for each in wanted]
