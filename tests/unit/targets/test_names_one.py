"""The expression for the names in a caller's certificate, as Python runs it; the proxies' own runs are in tests/behaviour."""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from meshctl.ir import WorkloadIdentity
from meshctl.pki.authority import create_authority
from meshctl.pki.issue import issue
from meshctl.targets.mtls import names_one
from tests.behaviour.impostors import with_names

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CLIENT = WorkloadIdentity("client", "test.example", "test.mesh")
OTHER, LONG = WorkloadIdentity("other", "test.example", "test.mesh"), f"{'a' * 63}.{'b' * 63}.{'c' * 61}"


def uri(text):
    return x509.UniformResourceIdentifier(text)


OWN = uri(CLIENT.spiffe_id)
DNS = [x509.DNSName(each) for each in CLIENT.dns_names]
ADDRESSES = [x509.IPAddress(ipaddress.ip_address(each)) for each in ("134.2.48.6", "::86", "10.0.0.1")]
MAIL = x509.RFC822Name("a@b.example")


@pytest.fixture(scope="module")
def authority():
    return create_authority("test.example", NOW).authority


@pytest.fixture(scope="module")
def issued(authority):
    return issue(authority, CLIENT, timedelta(days=30), NOW)


def takes(chain, identity=CLIENT):
    leaf = x509.load_pem_x509_certificate(chain)
    name = leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
    der = leaf.public_bytes(serialization.Encoding.DER)
    pattern = names_one(identity).replace("(?<", "(?P<").replace(r"\k<name>", "(?P=name)")
    return re.search(pattern, f"{name.encode().hex()}:{der.hex()}".upper()) is not None


@pytest.mark.parametrize(
    "names",
    [
        [OWN],
        [OWN, *DNS],
        [*DNS, OWN],
        [*DNS, *ADDRESSES, MAIL, OWN],
        [x509.DNSName(LONG), OWN, x509.DNSName(LONG), MAIL, *ADDRESSES],
        [x509.DNSName("*.x--0.a0"), OWN, x509.DNSName("000.example")],
    ],
    ids=range(6),
)
def test_one_uri_among_others(issued, authority, names):
    assert takes(with_names(issued, authority, names).chain_pem)


def test_what_the_mesh_makes(issued):
    assert takes(issued.chain_pem)
    assert not takes(issued.chain_pem, WorkloadIdentity("x", "testxexample", "test.mesh"))
    assert not takes(issued.chain_pem, WorkloadIdentity("x", "other.example", "test.mesh"))


@pytest.mark.parametrize(
    "names",
    [
        [OWN, uri(OTHER.spiffe_id)],
        [uri(OTHER.spiffe_id), OWN],
        [OWN, OWN],
        [OWN, *DNS, uri("https://x.example/")],
        [uri("x:y"), *DNS, *ADDRESSES, OWN],
        [*DNS, OWN, MAIL, uri(OTHER.spiffe_id), MAIL],
        [uri(OTHER.spiffe_id), *DNS],
        [uri(f"{CLIENT.spiffe_id}2"), *DNS],
        [uri(f"{CLIENT.spiffe_id}/x"), *DNS],
        [uri(CLIENT.spiffe_id[:-1]), *DNS],
        [uri("spiffe://test.example.evil/client"), *DNS],
        [uri(f"{OTHER.spiffe_id}?{CLIENT.spiffe_id}"), *DNS],
        DNS,
        [OWN, x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))],
        [OWN, x509.DirectoryName(x509.Name([]))],
    ],
    ids=range(15),
)
def test_two_uris_or_another(issued, authority, names):
    assert not takes(with_names(issued, authority, names).chain_pem)
