"""Revocation lists beside the tables: sessions that would be resumed, lists that are old, and starts that must not be."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import ssl
import subprocess
import time
from datetime import UTC, datetime, timedelta

import pytest

from meshctl import pipeline
from meshctl.artifacts import REVOCATION_LISTS
from meshctl.ir import Proxy
from meshctl.live.programs import environment
from meshctl.pki import renewal, revocation, store
from meshctl.pki.authority import load_authority
from meshctl.pki.issue import issue
from tests.behaviour.rotation import LIFETIME, authority_of, holder_of, identities, put, revoke, told
from tests.behaviour.tables import Expect, Row, Table
from tests.behaviour.world import running, specification, write_spec

TABLE = Table(
    name="revocation",
    features=["certificate revocation"],
    spec={
        "mesh": {"mtls": {"crl": True, "minVersion": "1.2"}},
        "defaults": {"retries": {"attempts": 0}},
        "services": {
            "client": {"port": 8080, "endpoints": [{"address": "127.50.0.1"}], "calls": {"server": {}}},
            "server": {"port": 8080, "endpoints": [{"address": "127.50.0.11"}]},
        },
    },
    requests=[],
)
ROW = Row("a request", Expect())
REQUEST = b"GET / HTTP/1.1\r\nHost: server\r\nConnection: close\r\n\r\n"
SETTLED = 0.3
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Caller:
    """A client of the mesh that offers its last session again."""

    def __init__(self, callee, folder, version):
        self._bind, self._name = callee.inbound.bind, callee.identity.server_name
        self._context = ssl.create_default_context(cafile=str(folder / "tls/ca.pem"))
        self._context.load_cert_chain(folder / "tls/cert.pem", folder / "tls/cert.pem.key")
        self._context.maximum_version = version
        self._session = None

    def ask(self):
        """(status line, whether the session was resumed); no status line: refused."""
        answer, reused = b"", None
        with (
            contextlib.suppress(OSError),
            socket.create_connection((self._bind.address, self._bind.port), 5) as raw,
            self._context.wrap_socket(raw, server_hostname=self._name, session=self._session) as stream,
        ):
            reused = stream.session_reused
            stream.sendall(REQUEST)
            answer = stream.recv(4096)
            self._session = stream.session or self._session
        return answer[:12].decode(), reused


@pytest.mark.parametrize("proxy", Proxy)
def test_no_session_outlives_the_revocation_of_its_certificate(proxy, tmp_path):
    with running(TABLE, proxy, proxy, tmp_path) as world:
        callee = world.sidecar("server/1")
        folder = world.folder(world.sidecar("client/1"))
        callers = [Caller(callee, folder, version) for version in VERSIONS]
        before = [each.ask() for each in callers for _ in range(2)]
        held = store.held(world.out, holder_of(world.out, folder))
        assert held is not None
        authority, _ = revocation.revoke(authority_of(world.out), {held.serial}, LIFETIME, datetime.now(UTC))
        renewal.deliver(world.out, identities(world.out), authority)
        told(callee, world.folder(callee))
        time.sleep(SETTLED)
        after = [each.ask()[0] for each in callers]
    assert before == [("HTTP/1.1 200", False)] * 4
    assert after == [""] * 2


@pytest.mark.parametrize("proxy", Proxy)
def test_an_old_list_lets_nobody_in(proxy, tmp_path):
    with running(TABLE, proxy, proxy, tmp_path) as world:
        now = datetime.now(UTC)
        short, _ = revocation.revoke(authority_of(world.out), (), timedelta(seconds=8), now)
        for sidecar in world.mesh.sidecars:
            put(world.folder(sidecar) / REVOCATION_LISTS, short.crl_pem)
            told(sidecar, world.folder(sidecar))
        time.sleep(max(0.0, 9 - (datetime.now(UTC) - now).total_seconds()))
        with world.connection(ROW) as connection:
            answer = connection.ask(ROW)
        time.sleep(SETTLED)
        assert (answer.status, world.arrivals(answer.identifier)["seen"]) == (503, [])


@pytest.mark.parametrize("proxy", Proxy)
def test_the_next_build_alone_lets_nobody_in(proxy, tmp_path):
    with running(TABLE, proxy, proxy, tmp_path) as world:
        callee = world.sidecar("server/1")
        folder = world.folder(world.sidecar("client/1"))
        callers = [Caller(callee, folder, version) for version in VERSIONS]
        before = [each.ask()[0] for each in callers]
        revoke(world.out, folder)
        told(callee, world.folder(callee))
        time.sleep(SETTLED)
        revoked = [each.ask()[0] for each in callers]
        # A build without lists, over what runs. Nobody has told the sidecars.
        spec = specification(TABLE, proxy, proxy, world.places)
        spec["mesh"]["mtls"] = {"minVersion": "1.2"}
        validated = pipeline.validate(write_spec(spec, tmp_path / "next"))
        pipeline.build(validated, world.out, now=datetime.now(UTC), verify="none")
        time.sleep(SETTLED)
        after = [each.ask()[0] for each in callers]
    assert before == ["HTTP/1.1 200"] * 2
    assert (revoked, after) == ([""] * 2, [""] * 2)


def _missing(out, folder):
    (folder / REVOCATION_LISTS).unlink()
    return "crl.pem"


def _old(out, folder):
    now = datetime.now(UTC) - timedelta(days=1)
    old, _ = revocation.revoke(authority_of(out), (), timedelta(hours=1), now)
    put(folder / REVOCATION_LISTS, old.crl_pem)
    return "CRL has expired"


def _of_one_ca(out, folder):
    own = load_authority(authority_of(out)).crl_pem
    put(folder / REVOCATION_LISTS, own[: own.rindex(b"-----BEGIN X509 CRL-----")])
    return "unable to get certificate CRL"


def _own_certificate(out, folder):
    holder = holder_of(out, folder)
    authority = load_authority(authority_of(out))
    issued = issue(authority, holder.identity, LIFETIME, datetime.now(UTC))
    store.write(out, {holder: dataclasses.replace(issued)})
    revoked, _ = revocation.revoke(authority_of(out), {issued.serial}, LIFETIME, datetime.now(UTC))
    put(folder / REVOCATION_LISTS, revoked.crl_pem)
    return "certificate revoked"


def _garbage(out, folder):
    put(folder / REVOCATION_LISTS, b"hi\n")
    return "crl"


@pytest.mark.parametrize("proxy", Proxy)
def test_a_list_that_lets_nobody_in_is_not_reloaded(proxy, tmp_path):
    with running(TABLE, proxy, proxy, tmp_path) as world:
        folder = world.folder(world.sidecar("client/1"))
        reload = [str(folder / proxy / "reload")]
        good = (folder / REVOCATION_LISTS).read_bytes()
        for spoil in (_garbage, _of_one_ca, _old, _missing):
            said = spoil(world.out, folder)
            done = subprocess.run(
                reload, env=environment({}), capture_output=True, text=True, timeout=20, check=False
            )
            assert done.returncode == 1, spoil
            assert "reload: nothing was changed, for it cannot use ../tls/crl.pem: " in done.stderr
            assert said.lower() in done.stderr.lower()
            put(folder / REVOCATION_LISTS, good)
        told(world.sidecar("client/1"), folder)
        with world.connection(ROW) as connection:
            assert connection.ask(ROW).status == 200


@pytest.mark.parametrize("proxy", Proxy)
def test_whose_own_certificate_is_revoked_still_gets_the_list(proxy, tmp_path):
    with running(TABLE, proxy, proxy, tmp_path) as world:
        sidecar = world.sidecar("client/1")
        _own_certificate(world.out, world.folder(sidecar))
        told(sidecar, world.folder(sidecar))


@pytest.mark.parametrize("proxy", Proxy)
def test_what_nobody_would_answer_to_does_not_start(proxy, tmp_path):
    with running(TABLE, proxy, proxy, tmp_path) as world:
        sidecar = world.sidecar("client/1")
    folder = world.folder(sidecar)
    for spoil in (_garbage, _of_one_ca, _old, _own_certificate, _missing):
        said = spoil(world.out, folder)
        run = [str(folder / proxy / "run")]
        done = subprocess.run(
            run, env=environment({}), capture_output=True, text=True, timeout=20, check=False
        )
        assert done.returncode == 1, spoil
        assert said in done.stderr
        assert "not started: with tls/crl.pem as it is" in done.stderr
