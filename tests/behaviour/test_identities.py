"""Real sidecars with certificates that nobody should accept, as callers and as callees, in nine pairs: of requests and of streams.

What no sidecar of ours can do (show no certificate, or speak plaintext) is a matter of the callee's proxy alone, and of
clients that are none: test_tls.py, for all three. Three pairs come with every run, the others with the long ones.
"""

from __future__ import annotations

import dataclasses
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from meshctl import ir
from meshctl.pki import renewal, revocation, store
from meshctl.pki.authority import create_authority, load_authority
from meshctl.pki.issue import issue
from tests.behaviour.impostors import of_two
from tests.behaviour.rotation import authority_of, holder_of, identities, told
from tests.behaviour.tables import Expect, Row, Table
from tests.behaviour.test_tables import DIFFERENT, PAIRS
from tests.behaviour.world import DOMAIN, TRUST_DOMAIN, running

DAY = timedelta(days=1)
TABLE = Table(
    name="identities",
    features=["strict mTLS", "certificate revocation", "TCP services"],
    spec={
        "mesh": {"mtls": {"crl": True}},
        "defaults": {"retries": {"attempts": 0}, "idleTimeout": "1s"},
        "services": {
            "client": {
                "port": 8080,
                "endpoints": [{"address": "127.50.0.1"}],
                "calls": {"server": {}, "ledger": {"localPort": 15432}},
            },
            "server": {"port": 8080, "endpoints": [{"address": "127.50.0.11"}]},
            "ledger": {"port": 5432, "protocol": "tcp", "endpoints": [{"address": "127.50.0.12"}]},
        },
    },
    requests=[],
)
REQUEST = Row("a request", Expect())
STREAM = Row("a stream", Expect(), via="tcp", to="ledger", body="x")
CALLEES, CALLERS = ("server", "ledger"), ("client",)

SETTLED = 0.3
"""Seconds after which a request that came through would have arrived, and a new certificate is shown."""


def certificates(authority, service, now):
    """What nobody should accept from ``service``, by name; the last is the one that everybody should."""
    own = ir.WorkloadIdentity(service, TRUST_DOMAIN, DOMAIN)
    other = structs.replace(own, service="other")

    def made(who=own, signer=authority, lifetime=30 * DAY, at=now):
        # Whoever is wrong still believes the right ones.
        return dataclasses.replace(issue(signer, who, lifetime, at), trust_pem=authority.root_pem)

    foreign = create_authority(TRUST_DOMAIN, now).authority
    # Of another environment: under the same CA, with the same hosts.
    elsewhere = structs.replace(own, trust_domain="other.example")
    return {
        "another name": made(other),
        "another trust domain": made(elsewhere),
        # As close as a domain can come.
        "a trust domain's hosts": made(structs.replace(elsewhere, domain=TRUST_DOMAIN)),
        "a foreign CA": made(signer=foreign),
        "expired": made(lifetime=timedelta(hours=1), at=now - timedelta(hours=2)),
        "not yet valid": made(at=now + DAY),
        "revoked": made(),
        "two URIs": of_two(made(), authority, own, other),
        "two URIs, the other first": of_two(made(), authority, own, other, first=True),
        "right": made(),
    }


class Pair:
    """A caller and its callees that run, with certificates that change."""

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
        time.sleep(SETTLED)

    def show(self, services, which):
        for service in services:
            holder = holder_of(self.world.out, self.folders[service])
            store.write(self.world.out, {holder: self.certificates[service][which]})
            self._told(service)
        time.sleep(SETTLED)

    def _told(self, service):
        told(self.world.sidecar(f"{service}/1"), self.folders[service])

    def ask(self):
        """What became of a request, and of a stream, each on a connection of its own."""
        with self.world.connection(REQUEST) as connection:
            answer = connection.ask(REQUEST)
        with self.world.connection(STREAM) as connection:
            greeting = connection.ask(STREAM).values("greeting")
        return answer, greeting

    def streams(self):
        """What the application of streams has counted: its connections, and the bytes that came over them."""
        time.sleep(SETTLED)
        seen = self.world.arrivals("ledger")["seen"]
        return len(seen), sum(each["heard"] for each in seen)


ALL = (
    "another name",
    "another trust domain",
    "a trust domain's hosts",
    "a foreign CA",
    "expired",
    "not yet valid",
    "revoked",
    "two URIs",
    "two URIs, the other first",
)
FEW = ("another name", "another trust domain", "a trust domain's hosts", "revoked", "two URIs")
"""Those of which test_tls.py does not ask all three callers and all three callees."""

LET_IN = (200, 1, ["ledger/1"])
CLOSED: list[Any] = [(status, 0, []) for status in (502, 503)]
# Who is of the mesh, and may not call, is told so.
UNKNOWN: Any = (403, 0, [])


@pytest.mark.parametrize(
    ("caller", "callee", "wrong"),
    [
        *(pytest.param(*pair, FEW, id="-".join(pair)) for pair in DIFFERENT),
        *(pytest.param(*pair, ALL, marks=pytest.mark.soak, id=f"{'-'.join(pair)}-all") for pair in PAIRS),
    ],
)
def test_only_the_right_certificate_is_accepted(caller, callee, wrong, tmp_path):
    with running(TABLE, caller, callee, tmp_path) as world:
        pair, answers = Pair(world), {}
        pair.revoke()
        # The callees first, and nobody right before the end: a connection that is open is not looked at again.
        for services in (CALLEES, CALLERS):
            for which in wrong:
                pair.show(services, which)
                answers[services, which] = pair.ask()
                if answers[services, which][0].status not in (502, 503):
                    # Its connection must not serve the next one.
                    time.sleep(1.5)
            if services == CALLEES:
                of_wrong_callees = pair.streams()
                pair.show(services, "right")
        of_wrong_callers = pair.streams()
        pair.show(CALLERS, "right")
        answers[CALLERS, "right"] = pair.ask()
        of_all = pair.streams()
        became = {
            who: (answer.status, len(world.arrivals(answer.identifier)["seen"]), greeting)
            for who, (answer, greeting) in answers.items()
        }
    assert became.pop((CALLERS, "right")) == LET_IN
    assert became.pop((CALLERS, "another name")) == UNKNOWN
    # No proxy can tell, as a caller, that there is a name besides the one that it looks for (docs/wire-contract.md).
    doubtful = [(CALLEES, which) for which in wrong if "two" in which]
    assert [became.pop(who) for who in doubtful] == [LET_IN] * len(doubtful)
    assert {who: each for who, each in became.items() if each not in CLOSED} == {}
    # An impostor may speak to its own application as it likes, but gets nothing of the caller's to tell it.
    assert of_wrong_callees[1] == len(doubtful)
    assert of_wrong_callers == of_wrong_callees
    assert of_all == (of_wrong_callers[0] + 1, of_wrong_callers[1] + 1)
