"""What a gateway shows to the world while its bundle changes: another certificate takes a start, a renewed one does not."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from datetime import UTC, datetime

import pytest

from meshctl import pipeline
from meshctl.ir import Proxy
from tests.behaviour.certificates import CERTIFICATE, KEY, write_site
from tests.behaviour.rotation import put
from tests.behaviour.tables import Table
from tests.behaviour.world import running, specification, write_spec

TABLE = Table(
    name="gateway_certificate",
    features=["TLS of gateways"],
    site=["www.test.example"],
    spec={
        "mesh": {},
        "services": {
            "web": {"port": 8080, "endpoints": [{"address": "127.50.0.11"}]},
        },
        "gateways": {
            "edge": {
                "port": 8443,
                "endpoints": [{"address": "127.50.0.5"}],
                "hostnames": ["www.test.example"],
                "tls": {"certificate": "/files/site.pem", "key": "/files/site.key"},
                "calls": {"web": {}},
            },
        },
    },
    requests=[],
)
SETTLED = 0.5
NOT_DONE = 2


def shown(gateway):
    """The certificate that a client sees."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    where = gateway.outbound.bind
    with (
        socket.create_connection((where.address, where.port), 5) as raw,
        context.wrap_socket(raw, server_hostname="www.test.example") as stream,
    ):
        return stream.getpeercert(binary_form=True)


def of_file(path):
    return ssl.PEM_cert_to_DER_cert(path.read_text("ascii"))


@pytest.mark.parametrize("proxy", Proxy)
def test_the_next_build_alone_shows_no_other_certificate(proxy, tmp_path):
    with running(TABLE, proxy, proxy, tmp_path) as world:
        gateway = world.sidecar("edge/1")
        first = of_file(world.files / CERTIFICATE)
        before = shown(gateway)
        write_site(tmp_path / "next", ["www.test.example"])
        spec = specification(TABLE, proxy, proxy, world.places)
        spec["gateways"]["edge"]["tls"] = {
            "certificate": str(tmp_path / "next" / CERTIFICATE),
            "key": str(tmp_path / "next" / KEY),
        }
        validated = pipeline.validate(write_spec(spec, tmp_path / "next"))
        pipeline.build(validated, world.out, now=datetime.now(UTC), verify="none")
        time.sleep(SETTLED)
        built = shown(gateway)
        reload = world.folder(gateway) / proxy / "reload"
        status = subprocess.run([reload], capture_output=True, timeout=30, check=False).returncode
        reloaded = shown(gateway)
    second = of_file(tmp_path / "next" / CERTIFICATE)
    assert (before, built) == (first, first)
    assert (status, reloaded) in [(0, second), (NOT_DONE, first)]


def test_a_renewed_certificate_is_shown_by_envoy_at_once(tmp_path):
    with running(TABLE, Proxy.ENVOY, Proxy.ENVOY, tmp_path) as world:
        gateway = world.sidecar("edge/1")
        before = shown(gateway)
        write_site(tmp_path / "renewed", ["www.test.example"])
        for name in (KEY, CERTIFICATE):
            put(world.files / name, (tmp_path / "renewed" / name).read_bytes())
        time.sleep(SETTLED)
        after = shown(gateway)
    renewed = of_file(world.files / CERTIFICATE)
    assert before != renewed
    assert after == renewed
