from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from meshctl.diagnostics import UsageError
from meshctl.pki.identities import parse_identities, render_identities


def _named(service, *, instance="", trust_domain="shop.example", domain="shop.mesh"):
    return {
        "service": service,
        "instance": instance,
        "spiffeId": f"spiffe://{trust_domain}/{service}",
        "dnsNames": [f"{service}.{domain}", f"{service}.spiffe.{trust_domain}"],
        "subject": f"CN={service},O={trust_domain}",
    }


def test_the_manifest_holds_what_was_put_in(identities):
    again = parse_identities(render_identities(identities))
    assert (again.mesh, again.policy) == (identities.mesh, identities.policy)
    assert set(again.holders) == set(identities.holders)


def test_the_manifest_is_the_same_whatever_the_order(identities):
    other = replace(identities, holders=tuple(reversed(identities.holders)))
    assert render_identities(other) == render_identities(identities)


def test_the_manifest_in_full(identities):
    only = replace(identities, holders=identities.holders[1:2])
    assert json.loads(render_identities(only)) == {
        "schemaVersion": 2,
        "mesh": "shop",
        "lifetimeSeconds": 2592000,
        "renewBeforeSeconds": 864000,
        "identities": [
            {
                "service": "catalog",
                "instance": "a",
                "spiffeId": "spiffe://shop.example/catalog",
                "dnsNames": ["catalog.shop.mesh", "catalog.spiffe.shop.example"],
                "subject": "CN=catalog,O=shop.example",
            }
        ],
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"service": ".."},
        {"service": "a/b"},
        {"service": ""},
        {"instance": "../.."},
        {"instance": "."},
        {"subject": "CN=web,O=shop.example"},
        {"spiffeId": "spiffe://shop.example/web"},
        {"dnsNames": ["web.shop.mesh", "catalog.spiffe.shop.example"]},
        {"dnsNames": ["catalog.shop.mesh", "catalog.spiffe.other.example"]},
        {"dnsNames": ["catalog.shop.mesh"]},
        {"dnsNames": []},
        {"extra": "x"},
    ],
    ids=str,
)
def test_a_manifest_from_elsewhere_cannot_lead_out_of_the_build_or_mix_names(identities, changes):
    document = json.loads(render_identities(identities))
    document["identities"][0].update(changes)
    with pytest.raises(UsageError):
        parse_identities(json.dumps(document).encode())


@pytest.mark.parametrize(
    "text",
    [
        *(
            b"",
            b"[]",
            b"{}",
            b"null",
            b'{"schemaVersion": 1}',
            b'{"schemaVersion": 2, "identities": 5}',
            b"\xff",
        ),
        *(
            b"[" * 5000,
            b'{"schemaVersion": 2, "lifetimeSeconds": 1e999}',
            b'{"schemaVersion": 2, "lifetimeSeconds": 1e30}',
        ),
    ],
    ids=lambda text: text[-20:],
)
def test_what_is_no_manifest(text):
    with pytest.raises(UsageError):
        parse_identities(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"renewBeforeSeconds": 10**12},
        {"lifetimeSeconds": -1},
        {"lifetimeSeconds": 3651 * 86400},
        {"identities": [_named("\ud800")]},
        {"identities": [_named("\x1b[2J")]},
        {"identities": [_named("w" * 64)]},
        {"identities": [_named("web", trust_domain="ü.example")]},
        {"identities": [_named("web", trust_domain="x" * 65)]},
        {"identities": [_named("web", domain="a b")]},
        {"identities": [_named("web", instance="\x07")]},
    ],
    ids=repr,
)
def test_a_manifest_has_only_what_fits_into_a_certificate_and_the_calendar(identities, changes):
    document = json.loads(render_identities(identities))
    parse_identities(json.dumps(document).encode())
    with pytest.raises(UsageError, match="not one that meshctl wrote"):
        parse_identities(json.dumps(document | changes).encode())
