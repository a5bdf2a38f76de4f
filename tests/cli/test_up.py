"""`meshctl up`: what it runs, how it ends, and that nothing is left."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from meshctl import ir
from meshctl.cli import up
from tests.turns import turn

# A mesh on loopback always has the same addresses, so these tests take turns.
pytestmark = pytest.mark.xdist_group("up")

MESH = """
apiVersion: meshctl.dev/v1
mesh: {name: tiny, domain: tiny.mesh, trustDomain: tiny.example}
services:
  web: {port: 8080, endpoints: [{address: 10.0.0.1}], calls: {two-words: {}}}
  two-words: {port: 8080, endpoints: [{address: 10.0.0.2}]}
"""
OUTBOUND = ("127.80.2.1", 15001)

CLIENT = """
import http.client, os, sys, urllib.parse
where = urllib.parse.urlsplit(os.environ["MESHCTL_WEB_OUTBOUND"]).netloc
connection = http.client.HTTPConnection(where)
connection.request("GET", "/", headers={"Host": "two-words"})
print(connection.getresponse().read().decode())
print(os.environ["MESHCTL_TWO_WORDS_OUTBOUND"])
sys.exit(7)
"""


@pytest.fixture(autouse=True)
def loopback():
    with turn("up"):
        yield


@pytest.fixture
def mesh(tmp_path):
    path = tmp_path / "mesh.yaml"
    path.write_text(MESH)
    return path


def argv(*arguments):
    return (sys.executable, "-m", "meshctl", "up", *map(str, arguments))


def run(*arguments, limit=40):
    return subprocess.run(argv(*arguments), capture_output=True, text=True, check=False, timeout=limit)


def listening(where=OUTBOUND):
    try:
        socket.create_connection(where, timeout=1).close()
    except OSError:
        return False
    return True


def wait_until(wanted, limit=20):
    deadline = time.monotonic() + limit
    while listening() is not wanted:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_command_runs_in_the_mesh_and_gives_its_status(mesh):
    done = run(mesh, "--", sys.executable, "-c", CLIENT)
    assert done.returncode == 7, done.stderr
    answer, two_words = done.stdout.splitlines()
    seen = json.loads(answer)
    assert (seen["service"], seen["instance"]) == ("two-words", "127.80.1.1")
    assert ["x-mesh-identity", "spiffe://tiny.example/web"] in seen["headers"]
    assert two_words == "http://127.80.1.1:15001"
    assert not listening()


def test_without_a_command_it_says_how_to_call_and_ends_when_told(mesh):
    done = run(mesh, "--for", "0.5")
    assert done.returncode == 0, done.stderr
    assert "curl -H 'Host: two-words' http://127.80.2.1:15001/" in done.stderr
    assert done.stdout == ""


def test_keep_leaves_the_bundles(mesh, tmp_path):
    assert run(mesh, "--keep", tmp_path / "kept", "--", "true").returncode == 0
    assert (tmp_path / "kept" / "build" / "web" / "127.80.2.1" / "envoy" / "run").is_file()
    again = run(mesh, "--keep", tmp_path / "kept", "--", "true")
    assert (again.returncode, "is not empty" in again.stderr) == (2, True)


def test_no_key_is_told_by_it_or_by_the_proxies_that_it_runs(mesh, tmp_path):
    mesh.write_text(
        """
apiVersion: meshctl.dev/v1
mesh: {name: tiny, domain: tiny.mesh, trustDomain: tiny.example}
services:
  web: {port: 8080, endpoints: [{address: 10.0.0.1}], calls: {two-words: {}, ledger: {}}}
  two-words: {port: 8080, proxy: haproxy, endpoints: [{address: 10.0.0.2}]}
  ledger: {port: 8080, proxy: nginx, endpoints: [{address: 10.0.0.3}]}
"""
    )
    arguments = ("--debug", "up", mesh, "--keep", tmp_path / "kept", "--", sys.executable, "-c", CLIENT)
    command = (sys.executable, "-m", "meshctl", *map(str, arguments))
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=40, umask=0)
    assert done.returncode == 7, done.stderr

    texts = {
        each: each.read_bytes().decode("latin-1") for each in (tmp_path / "kept").rglob("*") if each.is_file()
    }
    keys = [path for path, text in texts.items() if "PRIVATE KEY" in text]
    assert {(path.suffix, path.stat().st_mode & 0o777) for path in keys} == {(".key", 0o600)}
    assert len(keys) == 5
    lines = {line for path in keys for line in texts[path].splitlines()[1:-1]}
    others = [done.stdout, done.stderr, *(text for path, text in texts.items() if path not in keys)]
    assert lines
    assert not [line for line in lines for text in others if line in text]


def test_an_address_in_use_is_named(mesh):
    with socket.create_server(("127.80.1.1", 15006)):
        done = run(mesh, "--", "true")
    assert done.returncode == 2
    assert "two-words/127.80.1.1: inbound listener: 127.80.1.1:15006 is already in use" in done.stderr


def test_own_applications_may_stand_where_the_echo_ones_would(mesh):
    with socket.create_server(("127.80.1.1", 8080)):
        assert run(mesh, "--no-apps", "--", "true").returncode == 0
        assert run(mesh, "--", "true").returncode == 2


@pytest.mark.parametrize(
    ("command", "status"), [(["no-such-program"], 2), (["sh", "-c", "kill -9 $$"], 137), (["false"], 1)]
)
def test_how_a_command_ends(mesh, command, status):
    assert run(mesh, "--", *command).returncode == status


def test_findings_start_nothing(mesh):
    mesh.write_text(MESH.replace("two-words: {}", "three-words: {}"))
    done = run(mesh, "--", "true")
    assert done.returncode == 1
    assert "undefined-reference" in done.stderr


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)]
)
def test_nothing_is_left_however_it_ends(mesh, tmp_path, number, status):
    scratch = {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(argv(mesh), stderr=subprocess.DEVNULL, env={**os.environ, **scratch}) as child:
        wait_until(wanted=True)
        time.sleep(0.5)
        child.send_signal(number)
        assert child.wait(15) == status
    wait_until(wanted=False)
    if number is not signal.SIGKILL:
        assert not list(tmp_path.glob("meshctl-up-*"))


def test_a_sidecar_that_ends_is_not_passed_over(mesh, tmp_path):
    started = tmp_path / "started"
    script = f"touch {started}; exec sleep 60"
    with subprocess.Popen(
        argv(mesh, "--keep", tmp_path / "kept", "--", "sh", "-c", script), stderr=subprocess.PIPE, text=True
    ) as child:
        deadline = time.monotonic() + 30
        while not started.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        pid = tmp_path / "kept" / "build" / "web" / "127.80.2.1" / "run" / "pid"
        os.kill(int(pid.read_text()), signal.SIGKILL)
        _, said = child.communicate(timeout=20)
    assert child.returncode == 2
    assert "web/127.80.2.1 ended with status -9" in said


@pytest.mark.parametrize(
    ("asked", "command"),
    [
        ((None, None, None), "meshctl validate"),
        (("a b", "prod", ir.Proxy.HAPROXY), "meshctl validate 'a b' --env prod --proxy haproxy"),
    ],
)
def test_the_command_that_is_named_asks_about_the_same_mesh(asked, command):
    assert up.validating(*asked) == command
