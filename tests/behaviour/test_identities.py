"""Real sidecars with certificates that nobody should accept, as callers and as callees, in nine pairs.

What no sidecar of ours can do (show no certificate, or speak plaintext) is in test_tls.py. Three pairs come with every run,
the others with the long ones.
"""

from __future__ import annotations

import dataclasses
import time
from datetime import UTC, datetime, timedelta

import pytest

from meshctl import ir
from meshctl.pki import renewal, revocation, store
from meshctl.pki.authority import create_authority, load_authority
from meshctl.pki.issue import issue
from tests.behaviour.rotation import authority_of, holder_of, identities, told
from tests.behaviour.tables import Expect, Row, Table
from tests.behaviour.test_tables import DIFFERENT, PAIRS
from tests.behaviour.world import DOMAIN, TRUST_DOMAIN, running

DAY = timedelta(days=1)
TABLE = Table(
    name="identities",
    features=["strict mTLS", "certificate revocation"],
    spec={
        "mesh": {"mtls": {"crl": True}},
        "defaults": {"retries": {"attempts": 0}, "idleTimeout": "1s"},
        "services": {
            "client": {"port": 8080, "endpoints": [{"address": "127.50.0.1"}], "calls": {"server": {}}},
            "server": {"port": 8080, "endpoints": [{"address": "127.50.0.11"}]},
        },
    },
    requests=[],
)
ROW = Row("a request", Expect())


SETTLED = 0.3
"""Seconds after which a request that came through would have arrived, and a new certificate is shown."""


def certificates(authority, service, now):
    """What nobody should accept from ``service``, by name; the last is the one that everybody should."""

    def made(
        name=service, trust_domain=TRUST_DOMAIN, signer=authority, lifetime=30 * DAY, at=now, domain=DOMAIN
    ):
        who = ir.WorkloadIdentity(name, trust_domain, domain)
        # Whoever is wrong still believes the right ones.
        return dataclasses.replace(issue(signer, who, lifetime, at), trust_pem=authority.root_pem)

    foreign = create_authority(TRUST_DOMAIN, now).authority
    return {
        "another name": made("other"),
        # HAProxy and NGINX verify a callee by its DNS name only (docs/wire-contract.md).
        "another trust domain": made(trust_domain="other.example", domain="other.mesh"),
        "a foreign CA": made(signer=foreign),
        "expired": made(lifetime=timedelta(hours=1), at=now - timedelta(hours=2)),
        "not yet valid": made(at=now + DAY),
        "revoked": made(),
        "right": made(),
    }


class Pair:
    """A caller and a callee that run, with certificates that change."""

    def __init__(self, world):
        self.world = world
        self.now = datetime.now(UTC)
        self.folders = {
            each.service: world.folder(world.sidecar(f"{each.service}/1")) for each in world.mesh.sidecars
        }
        authority = load_authority(authority_of(world.out))
        self.certificates = {each: certificates(authority, each, self.now) for each in self.folders}

    def revoke(self):
        serials = {each["revoked"].serial for each in self.certificates.values()}
        authority, _ = revocation.revoke(authority_of(self.world.out), serials, 30 * DAY, self.now)
        renewal.deliver(self.world.out, identities(self.world.out), authority)
        for service in self.folders:
            self._told(service)

    def show(self, service, which):
        folder = self.folders[service]
        holder = holder_of(self.world.out, folder)
        store.write(self.world.out, {holder: self.certificates[service][which]})
        self._told(service)

    def _told(self, service):
        told(self.world.sidecar(f"{service}/1"), self.folders[service])
        time.sleep(SETTLED)

    def ask(self):
        """The answer to one request on a connection of its own."""
        with self.world.connection(ROW) as connection:
            return connection.ask(ROW)

    def arrivals(self, answer):
        """How often a request has come to the application."""
        return len(self.world.arrivals(answer.identifier)["seen"])


@pytest.mark.parametrize(
    ("caller", "callee"),
    [pytest.param(*pair, marks=[] if pair in DIFFERENT else [pytest.mark.soak]) for pair in PAIRS],
)
def test_only_the_right_certificate_is_accepted(caller, callee, tmp_path):
    with running(TABLE, caller, callee, tmp_path) as world:
        pair, answers = Pair(world), {}
        pair.revoke()
        # The callee first, and nobody right before the end: a connection that is open is not looked at again.
        for service in ("server", "client"):
            for which in pair.certificates[service]:
                pair.show(service, which)
                if (service, which) != ("server", "right"):
                    answers[service, which] = pair.ask()
                if which == "another name":
                    # It may have been let in, to be told 403, and its connection must not serve the next one.
                    time.sleep(1.5)
        time.sleep(SETTLED)
        arrived = {each: number for each, answer in answers.items() if (number := pair.arrivals(answer))}
    statuses = {each: answer.status for each, answer in answers.items()}
    assert arrived == {("client", "right"): 1}, statuses
    assert len(statuses) == 13
    assert statuses.pop(("client", "right")) == 200
    # Who is of the mesh, and may not call, is told so.
    assert statuses.pop(("client", "another name")) == 403
    assert set(statuses.values()) <= {502, 503}, statuses
