from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from meshctl import ir
from meshctl.pki.authority import Authority, NewAuthority, create_authority
from meshctl.pki.identities import Holder, Identities

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
POLICY = ir.CertificatePolicy(lifetime=timedelta(days=30), renew_before=timedelta(days=10))


def holder(service: str, instance: str = "", trust_domain: str = "shop.example") -> Holder:
    return Holder(service, instance, ir.WorkloadIdentity(service, trust_domain, "shop.mesh"))


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def new_authority() -> NewAuthority:
    return create_authority("shop.example", NOW)


@pytest.fixture(scope="session")
def authority(new_authority: NewAuthority) -> Authority:
    return new_authority.authority


@pytest.fixture(scope="session")
def identities() -> Identities:
    return Identities("shop", POLICY, (holder("web"), holder("catalog", "a"), holder("catalog", "b")))
