"""New leaves and a new CA under load: nobody who connects meanwhile is turned away.

A few rotations come with every run, ten of each kind with the long ones.
"""

from __future__ import annotations

import dataclasses
import socket
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from meshctl.artifacts import REVOCATION_LISTS, TRUST_BUNDLE
from meshctl.ir import Proxy
from meshctl.pki import store
from meshctl.pki.authority import create_authority, load_authority
from meshctl.pki.issue import issue
from tests.behaviour.client import Connection
from tests.behaviour.rotation import LIFETIME, authority_of, identities, put, told
from tests.behaviour.tables import Expect, Row, Table
from tests.behaviour.world import TRUST_DOMAIN, client_context, running

TABLE = Table(
    name="rotation",
    features=["strict mTLS", "certificate revocation"],
    spec={
        "mesh": {"mtls": {"crl": True}},
        "defaults": {"retries": {"attempts": 0}},
        "services": {
            "client": {"port": 8080, "endpoints": [{"address": "127.50.0.1"}], "calls": {"server": {}}},
            "server": {"port": 8080, "endpoints": [{"address": "127.50.0.11"}]},
        },
    },
    requests=[],
)
ROW = Row("a request", Expect())
BETWEEN = 0.5
"""Seconds of load between two steps."""
APPLIED = 5.0
"""Seconds until a new certificate is shown, at most."""
PAUSE = 0.01
"""Seconds between two requests of one client."""
FEW, MANY = (2, 1), (10, 10)
"""Rotations of the leaves, and of the CA."""


class Load:
    """New connections all the time: to the caller's sidecar, and, with a TLS handshake each, straight to the callee's."""

    def __init__(self, world):
        self._world = world
        self._over = threading.Event()
        self.asked, self.failures = 0, []
        self._lock = threading.Lock()
        self.show()
        self._threads = [
            threading.Thread(target=self._run, args=(connect,), daemon=True)
            for connect in (self._through, self._through, self._straight)
        ]

    def show(self):
        """Clients that go straight to the callee show, and trust, what the caller's bundle holds now."""
        self._context = client_context(self._world.folder(self._world.sidecar("client/1")))

    def __enter__(self):
        for each in self._threads:
            each.start()
        time.sleep(BETWEEN)
        return self

    def __exit__(self, *exception):
        time.sleep(BETWEEN)
        self._over.set()
        for each in self._threads:
            each.join(20)

    def _through(self):
        return Connection(self._world.sidecar("client/1").outbound.bind)

    def _straight(self):
        callee = self._world.sidecar("server/1")
        return Connection(callee.inbound.bind, self._context, callee.identity.server_name)

    def shown(self):
        """The serial number of the callee's certificate."""
        callee = self._world.sidecar("server/1")
        bind = callee.inbound.bind
        with (
            socket.create_connection((bind.address, bind.port), 5) as raw,
            self._context.wrap_socket(raw, server_hostname=callee.identity.server_name) as stream,
        ):
            shown = stream.getpeercert()
        return int(str((shown or {})["serialNumber"]), 16)

    def _run(self, connect):
        while not self._over.is_set():
            with connect() as connection:
                answer = connection.ask(ROW)
            with self._lock:
                self.asked += 1
                if answer.status != 200:
                    self.failures.append((connect.__name__, answer.status, answer.failure))
            time.sleep(PAUSE)


class Mesh:
    """Bundles that get new files, one sidecar after the other, as a deployer brings them."""

    def __init__(self, world, load):
        self._world, self._load = world, load
        self._authority = load_authority(authority_of(world.out))
        self._holders = identities(world.out).holders

    def rotate_leaves(self, trusted=None, authority=None):
        """New keys and certificates for all."""
        authority = authority or self._authority
        for holder in self._holders:
            issued = issue(authority, holder.identity, LIFETIME, datetime.now(UTC))
            trust = trusted or authority.root_pem
            store.write(self._world.out, {holder: dataclasses.replace(issued, trust_pem=trust)})
            self._told(holder)
        self._load.show()
        # The callee's was the last.
        deadline = time.monotonic() + APPLIED
        while (shown := self._load.shown()) != issued.serial:
            assert time.monotonic() < deadline, f"{shown:x} is shown, not {issued.serial:x}"
            time.sleep(PAUSE)
        time.sleep(BETWEEN)

    def rotate_ca(self):
        """The new root and its lists into all bundles, then leaves of it, then the old ones out of all."""
        new = create_authority(TRUST_DOMAIN, datetime.now(UTC) - timedelta(minutes=1)).authority
        both = self._authority.root_pem + new.root_pem
        self._trust(both, self._authority.crl_pem + new.crl_pem)
        self.rotate_leaves(both, new)
        self._trust(new.root_pem, new.crl_pem)
        self._authority = new

    def _trust(self, roots, lists):
        for holder in self._holders:
            folder = self._world.out.joinpath(*holder.folder)
            put(folder / REVOCATION_LISTS, lists)
            put(folder / TRUST_BUNDLE, roots)
            self._told(holder)
        self._load.show()
        time.sleep(BETWEEN)

    def _told(self, holder):
        told(self._world.sidecar(f"{holder.service}/1"), self._world.out.joinpath(*holder.folder))


@pytest.mark.parametrize(
    ("leaves", "authorities"), [FEW, pytest.param(*MANY, marks=pytest.mark.soak)], ids=["few", "many"]
)
@pytest.mark.parametrize("proxy", Proxy)
def test_nobody_is_turned_away(proxy, leaves, authorities, tmp_path):
    with running(TABLE, proxy, proxy, tmp_path) as world, Load(world) as load:
        mesh = Mesh(world, load)
        for _ in range(leaves):
            mesh.rotate_leaves()
        for _ in range(authorities):
            mesh.rotate_ca()
    print(f"{proxy}: {leaves} leaves, {authorities} CAs, {load.asked} requests, {len(load.failures)} failed")
    # NGINX closes what its callers keep idle (docs/reload.md): a request that is on its way there just then is lost.
    lost = [each for each in load.failures if proxy is Proxy.NGINX and each[:2] == ("_through", 502)]
    assert [each for each in load.failures if each not in lost] == []
    assert len(lost) <= 1 + load.asked / 1000
    assert load.asked > 50 * (leaves + authorities)
