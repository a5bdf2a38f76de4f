"""Requests, certificates and lists as somebody makes them who means no good, or whose program does other things than ours."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from meshctl.pki import profile
from meshctl.pki.authority import Authority, create_authority
from meshctl.pki.identities import Holder
from tests.fuzz import der
from tests.fuzz.chance import Chance
from tests.fuzz.mutation import ODD

PEM = serialization.Encoding.PEM
_BODY = re.compile(rb"(-----BEGIN ([A-Z0-9 ]+)-----\n)([A-Za-z0-9+/=\n]+)(-----END \2-----\n)")
_WORDS = (*(each for each in ODD if each and each.isascii()), "web", "spiffe://golden.example/server", "*.golden.mesh", "client.golden.mesh")  # fmt: skip
_OIDS = ("1.2.3.4", "2.5.29.17", "2.5.29.15", "1.3.6.1.5.5.7.1.1", "2.5.29.30", "2.5.4.3")


@cache
def keys() -> dict[str, Any]:
    """One of each kind: making them takes longer than everything else."""
    return {
        "p256": profile.new_key(),
        "other p256": profile.new_key(),
        "p384": ec.generate_private_key(ec.SECP384R1()),
        "k1": ec.generate_private_key(ec.SECP256K1()),
        "rsa": rsa.generate_private_key(65537, 2048),
        "dsa": dsa.generate_private_key(2048),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
    }


@cache
def stranger() -> Authority:
    """A CA that nobody trusts, which calls itself as ours does."""
    return create_authority("golden.example", datetime.now(UTC)).authority


def changed(pem: bytes, chance: Chance) -> bytes:
    """A PEM file with one of its blocks changed inside, or in its frame."""
    blocks = list(_BODY.finditer(pem))
    if not blocks:
        return pem
    block = chance.choice(blocks)
    if chance.once_in(4):
        piece = chance.choice(
            (b"", block[0] * 2, block[1] * 300, block[0].replace(b"\n", b"\r\n"), block[0][:-30])
        )
        return pem[: block.start()] + piece + pem[block.end() :]
    body = base64.encodebytes(der.mutated(base64.b64decode(block[3]), chance))
    return pem[: block.start()] + block[1] + body + block[4] + pem[block.end() :]


def request(holder: Holder, key: Any, chance: Chance) -> bytes:
    """A signing request: that of the holder, with other names, of another kind, changed inside."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(holder, chance))
    builder = _extended(builder, holder, chance)
    if chance.once_in(6):
        builder = builder.add_attribute(x509.ObjectIdentifier("1.2.840.113549.1.9.7"), b"secret")
    other = keys()[chance.choice(sorted(keys()))] if chance.once_in(4) else key
    made: bytes = builder.sign(other, _digest(other)).public_bytes(PEM)
    return changed(made, chance) if chance.once_in(2) else made


def answer(holder: Holder, key: Any, authority: Authority, chance: Chance) -> bytes:
    """What an issuer might return: some of it is good."""
    signer = stranger() if chance.once_in(6) else authority
    leaf = _leaf(holder, key, signer, chance)
    parts = [leaf, *([signer.issuing_pem] if chance.randrange(6) else []), *_besides(signer, chance)]
    if chance.once_in(6):
        chance.shuffle(parts)
    made = b"".join(parts)
    return changed(made, chance) if chance.once_in(2) else made


def _leaf(holder: Holder, key: Any, signer: Authority, chance: Chance) -> bytes:
    now = datetime.now(UTC)
    days = chance.choice((30, 30, 30, 30, 1, 3650, 90000, 0.01))
    start = now + timedelta(days=chance.choice((0, 0, 0, 0, -20, 5)))
    if chance.once_in(6):
        key = keys()[chance.choice(sorted(keys()))]
    builder = profile.certificate(
        _subject(holder, chance), key.public_key(), signer.issuing.subject, signer.issuing_key, start, timedelta(days=days)
    )  # fmt: skip
    constraints = x509.BasicConstraints(ca=chance.once_in(8), path_length=None)
    builder = builder.add_extension(constraints, critical=True)
    return profile.pem(profile.sign(_extended(builder, holder, chance), signer.issuing_key))


def _besides(signer: Authority, chance: Chance) -> list[bytes]:
    options: tuple[Callable[[], bytes], ...] = (
        lambda: signer.root_pem,
        lambda: signer.lists_pem,
        lambda: signer.lists_pem * 40,
        lambda: signer.issuing_pem * 200,
        lambda: stranger().lists_pem,
        lambda: stranger().issuing_pem + stranger().root_pem,
        lambda: changed(signer.lists_pem, chance),
        lambda: changed(signer.issuing_pem, chance),
        lambda: profile.key_pem(keys()["p256"]),
        lambda: b"-----BEGIN A-----\n" * 3000,
        lambda: b"subject=CN=web\n\xff\0",
    )
    return [chance.choice(options)() for _ in range(chance.randrange(3))]


def trust(authority: Authority, chance: Chance) -> bytes:
    """Roots that somebody names: ours mostly, with others."""
    parts = [authority.root_pem, *_besides(authority, chance)]
    made = b"".join(parts)
    return changed(made, chance) if chance.once_in(3) else made


def _subject(holder: Holder, chance: Chance) -> x509.Name:
    identity = holder.identity
    if chance.randrange(4):
        return profile.name(identity.trust_domain, identity.service)
    oids = (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.TITLE, NameOID.LOCALITY_NAME)
    return x509.Name(
        x509.NameAttribute(chance.choice(oids), chance.choice(ODD)[:60] or "x", _validate=False)
        for _ in range(chance.randrange(4))
    )


def _extended(builder: Any, holder: Holder, chance: Chance) -> Any:
    names = list(profile.alternative_names(holder.identity))
    if chance.once_in(4):
        names[chance.randrange(len(names))] = _name(chance)
    names += [_name(chance) for _ in range(chance.choice((0, 0, 0, 0, 1, 2)))]
    if names and chance.randrange(10):
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=chance.once_in(8))
    if chance.randrange(10):
        builder = builder.add_extension(
            profile.CA_USAGE if chance.once_in(8) else profile.LEAF_USAGE, critical=True
        )
    if chance.randrange(10):
        builder = builder.add_extension(profile.BOTH_ENDS, critical=False)
    if chance.once_in(6):
        oid = x509.ObjectIdentifier(chance.choice(_OIDS))
        if not any(each.oid == oid for each in builder._extensions):
            content = chance.choice((b"", b"\0", b"\x30\x00", b"\x30\x80", b"\xff" * 2000))
            builder = builder.add_extension(
                x509.UnrecognizedExtension(oid, content), critical=chance.once_in(2)
            )
    return builder


def _name(chance: Chance) -> x509.GeneralName:
    text, plain = chance.choice(_WORDS), chance.choice(("web.golden.mesh", "server", "a@server"))
    match chance.randrange(6):
        case 0:
            return x509.DNSName(text)
        case 1:
            return x509.UniformResourceIdentifier(text)
        case 2:
            return x509.RFC822Name(plain)
        case 3:
            return x509.IPAddress(ip_address("10.0.0.1"))
        case 4:
            return x509.DirectoryName(profile.name("golden.example", "server"))
        case _:
            return x509.OtherName(x509.ObjectIdentifier("1.2.3.4"), b"\x0c\x01a")


def _digest(key: object) -> Any:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def key_pem(kind: str) -> bytes:
    """A private key of :func:`keys`."""
    made: bytes = keys()[kind].private_bytes(
        PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made
