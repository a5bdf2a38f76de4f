"""New leaves and a new CA under load: nobody who connects meanwhile is turned away.

A few rotations come with every run, ten of each kind with the long ones.
"""

from __future__ import annotations

import itertools
import shutil
import socket
import threading
import time
from datetime import UTC, datetime

import pytest

from meshctl import ir
from meshctl.cli.app import run
from meshctl.ir import Proxy
from meshctl.live.handshakes import Probe, shake_hands
from meshctl.pki import store
from meshctl.pki.authority import create_authority, load_authority
from meshctl.pki.issue import issue
from tests.behaviour.client import Connection
from tests.behaviour.rotation import LIFETIME, authority_of, identities, told
from tests.behaviour.tables import Expect, Row, Table
from tests.behaviour.world import TRUST_DOMAIN, client_context, running

TABLE = Table(
    name="rotation",
    features=["strict mTLS", "certificate revocation"],
    spec={
        "mesh": {"mtls": {"crl": True}},
        "defaults": {"retries": {"attempts": 0}},
        "services": {
            "client": {
                "port": 8080,
                "endpoints": [{"address": "127.50.0.1"}],
                "calls": {"server": {}, "ledger": {"localPort": 5432}},
            },
            "server": {"port": 8080, "endpoints": [{"address": "127.50.0.11"}]},
            "ledger": {"port": 8080, "protocol": "tcp", "endpoints": [{"address": "127.50.0.21"}]},
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
        self._holders = identities(world.out).holders

    def rotate_leaves(self):
        """New keys and certificates for all."""
        authority = load_authority(authority_of(self._world.out))
        for holder in self._holders:
            issued = issue(authority, holder.identity, LIFETIME, datetime.now(UTC))
            store.write(self._world.out, {holder: issued})
            self._told(holder)
        self._await_shown()

    def rotate_ca(self):
        """By the command, each step proved by what the sidecars show; nothing but its exit code says that it may go on."""
        refused = 0
        for step in ("begin", "issue", "finish"):
            refused += self._step(step)
            self._deploy()
        return refused

    def _step(self, step):
        """Take it; how often it was refused first."""
        out = self._world.out
        command = ["certs", "rotate-ca", str(out.parent / "mesh.yaml"), "--ca", str(authority_of(out))]
        proof = [] if step == "begin" else ["--live", "--deployed", str(out)]
        deadline = time.monotonic() + APPLIED
        for refused in itertools.count():
            code = run([*command, "-o", str(out), "--step", step, *proof])
            if code == 0:
                return refused
            assert code == 1
            assert time.monotonic() < deadline
            time.sleep(0.1)
        raise AssertionError

    def _deploy(self):
        for holder in self._holders:
            self._told(holder)
        self._await_shown()

    def _await_shown(self):
        """The callee's certificate is shown, which came last."""
        self._load.show()
        callee = next(each for each in self._holders if each.service == "server")
        held = store.held(self._world.out, callee)
        assert held is not None
        deadline = time.monotonic() + APPLIED
        while (shown := self._load.shown()) != held.serial:
            assert time.monotonic() < deadline, f"{shown:x} is shown, not {held.serial:x}"
            time.sleep(PAUSE)
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
    assert load.failures == []
    assert load.asked > 50 * (leaves + authorities)


@pytest.mark.parametrize("proxy", Proxy)
def test_what_is_live_is_seen_as_it_is(proxy, tmp_path, capsys):
    """A CA that sidecars do not know is refused, and none is taken for deployed whose files alone are there."""
    with running(TABLE, proxy, proxy, tmp_path) as world:
        out, ca = world.out, authority_of(world.out)
        known, foreign = load_authority(ca), create_authority(TRUST_DOMAIN, datetime.now(UTC)).authority
        for service in ("server", "ledger"):
            assert _taken(world, service, known), service
            assert not _taken(world, service, foreign), service
        command = ["certs", "rotate-ca", str(out.parent / "mesh.yaml"), "--ca", str(ca), "-o", str(out)]
        shutil.copytree(out, tmp_path / "elsewhere", ignore=shutil.ignore_patterns("*.sock"))
        assert run([*command[:-1], str(tmp_path / "elsewhere"), "--step", "begin"]) == 0
        assert run([*command, "--step", "issue", "--live"]) == 1
        told = capsys.readouterr().err
        for each in ("client", "server", "ledger"):
            bind = world.sidecar(f"{each}/1").inbound.bind
            assert f"`{each}/{bind.address}`: {bind} does not take a certificate of" in told


def _taken(world, service, authority):
    sidecar = world.sidecar(f"{service}/1")
    caller = world.sidecar("client/1").identity
    issued = issue(authority, caller, LIFETIME, datetime.now(UTC))
    roots = load_authority(authority_of(world.out)).root_pem
    probe = Probe(sidecar.identity.dns_name, roots, issued.chain_pem, issued.key_pem)
    shown = shake_hands(sidecar.inbound.bind, probe, http=sidecar.inbound.protocol is not ir.Protocol.TCP)
    return not shown.refused
