"""Certificates for keys that were made where they are used carry traffic: signed by the mesh's CA, and by a program."""

from __future__ import annotations

import shlex
import socket
import time

import pytest
from cryptography import x509

from meshctl.cli.app import run
from meshctl.ir import Proxy
from tests.behaviour.client import Connection
from tests.behaviour.rotation import authority_of, told
from tests.behaviour.tables import Expect, Row, Table
from tests.behaviour.world import client_context, running

TABLE = Table(
    name="enrolment",
    features=["strict mTLS"],
    spec={
        "mesh": {},
        "services": {
            "client": {"port": 8080, "endpoints": [{"address": "127.50.0.1"}], "calls": {"server": {}}},
            "server": {"port": 8080, "endpoints": [{"address": "127.50.0.11"}]},
        },
    },
    requests=[],
)
SIGN = """\
#!/bin/sh
set -eu
cd {ca}
cat > request
openssl x509 -req -in request -CA issuing.pem -CAkey issuing.key -days 20 -copy_extensions copy
cat issuing.pem
"""
ROW = Row("a request", Expect())
APPLIED = 5.0
"""Seconds until a new certificate is shown, at most."""
PAIRS = [
    (Proxy.ENVOY, Proxy.NGINX),
    pytest.param(Proxy.HAPROXY, Proxy.ENVOY, marks=pytest.mark.soak),
    pytest.param(Proxy.NGINX, Proxy.HAPROXY, marks=pytest.mark.soak),
]


def held(bundle):
    return x509.load_pem_x509_certificate((bundle / "tls/cert.pem").read_bytes())


def shown(world):
    """What the callee shows to whoever holds the caller's certificate."""
    caller, callee = world.folder(world.sidecar("client/1")), world.sidecar("server/1")
    where = callee.inbound.bind
    with (
        socket.create_connection((where.address, where.port), 5) as raw,
        client_context(caller).wrap_socket(raw, server_hostname=callee.identity.dns_name) as stream,
    ):
        return x509.load_der_x509_certificate(stream.getpeercert(binary_form=True) or b"")


def enrol_by_program(bundle, ca):
    script = ca / "sign"
    script.write_text(SIGN.format(ca=shlex.quote(str(ca))))
    script.chmod(0o700)
    assert run(["certs", "renew", str(bundle), "--force", "--issuer-command", str(script)]) == 0


def enrol_by_request(bundle, ca, out):
    assert run(["certs", "csr", str(bundle)]) == 0
    request = bundle / "tls/request.csr"
    assert run(["certs", "sign", str(request), "--ca", str(ca), "-o", str(out)]) == 0
    assert run(["certs", "install", str(bundle)]) == 0


@pytest.mark.parametrize(("caller", "callee"), PAIRS)
def test_what_was_enrolled_carries_traffic(caller, callee, tmp_path):
    with running(TABLE, caller, callee, tmp_path) as world:
        ca = authority_of(world.out)
        client, server = world.sidecar("client/1"), world.sidecar("server/1")
        before = {held(world.folder(each)).serial_number for each in (client, server)}
        enrol_by_program(world.folder(client), ca)
        enrol_by_request(world.folder(server), ca, world.out)
        after = {held(world.folder(each)).serial_number for each in (client, server)}
        assert not before & after
        for each in (client, server):
            told(each, world.folder(each))
        deadline = time.monotonic() + APPLIED
        while shown(world) != held(world.folder(server)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        for _ in range(5):
            with Connection(client.outbound.bind) as connection:
                answer = connection.ask(ROW)
            assert answer.status == 200, answer.failure
