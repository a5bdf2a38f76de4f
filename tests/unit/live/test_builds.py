"""Whoever may be on an admin port: each answer is told in words, in bounded time."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest

from meshctl.ir import SocketAddress
from meshctl.live.builds import Heard, ask, ask_socket, body
from meshctl.live.owners import Owner, owner
from meshctl.live.subscriptions import taken, written

BUILD = "sha256:" + "a" * 64
TOLD = {"mesh": "shop", "service": "web", "instance": "10.0.0.1", "proxy": "nginx", "build": BUILD}
HOST = "127.83.3.1"
PATIENCE = timedelta(seconds=0.5)


def http(body: bytes, status: str = "200 OK", head: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode() + body


@contextmanager
def listening(answer: bytes | None, *, close: bool = True, host: str = HOST) -> Iterator[SocketAddress]:
    """Somebody who says ``answer``; with None nothing, and with ``close`` false he stays."""
    held = []
    with socket.create_server((host, 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                held.append(connection)
                if answer is not None:
                    connection.recv(1000)
                    # Who has heard enough goes.
                    with suppress(ConnectionError):
                        connection.sendall(answer)
                if close:
                    with suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)
                    connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield SocketAddress(host, server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    for each in held:
        each.close()


@pytest.mark.parametrize(
    "head",
    [b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFFFF", b"Content-Length: 99999999999999999999"],
)
def test_a_length_that_no_machine_holds_is_no_answer_of_a_sidecar(head):
    with listening(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n[") as where:
        found = ask([where], PATIENCE)[where]
    assert found.heard is Heard.OTHER
    assert "does not speak HTTP" in found.said


def test_a_sidecar_names_its_build():
    chunk = json.dumps(TOLD).encode()
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (
        len(chunk),
        chunk,
    )
    for answer in (http(chunk), chunked):
        # It need not close, and is not waited for.
        with listening(answer, close=False) as where:
            began = time.monotonic()
            found = ask([where], timedelta(seconds=20))[where]
            assert time.monotonic() - began < 10
        assert (found.heard, found.mesh, found.bundle) == (Heard.SIDECAR, "shop", "web/10.0.0.1")
        assert (found.proxy, found.build) == ("nginx", BUILD)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "closes the connection without a word"),
        (b"SSH-2.0-x\x1b[2J\r\n", "does not speak HTTP: SSH-2.0-x·[2J"),
        (b"\xff" * 70_000, "does not speak HTTP: " + "ÿ" * 60 + "…"),
        (http(b"hello"), "answers 200 and names no build"),
        (http(b"", "404 Not Found", "Server: nginx\r\n"), "answers 404 (server: nginx) and names no build"),
        (http(json.dumps(TOLD).encode(), "503 x"), "answers 503 and names no build"),
        (http(json.dumps(TOLD | {"build": "x"}).encode()), "answers 200 and names no build"),
        (http(json.dumps(TOLD | {"mesh": 1}).encode()), "answers 200 and names no build"),
        (http(b"[" * 5000), "answers 200 and names no build"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "does not speak HTTP: HTTP/1.1 200 OK"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "does not speak HTTP"),
    ],
)
def test_what_is_no_sidecar_is_told(answer, words):
    with listening(answer) as where:
        found = ask([where])[where]
    assert found.heard is Heard.OTHER
    assert found.said.startswith(words)


def test_silence_and_a_trickle_end():
    with listening(None, close=False) as silent:
        found = ask([silent], PATIENCE)[silent]
    assert (found.heard, found.said) == (Heard.OTHER, "takes the connection and says nothing within 0.5 s")
    with listening(b"HTTP/1.1 200 OK\r\n", close=False) as endless:
        assert ask([endless], PATIENCE)[endless].heard is Heard.OTHER


def test_nobody_is_listened_to_without_end():
    with listening(b"x" * (4 << 20), close=False) as where:
        began = time.monotonic()
        assert ask([where], timedelta(seconds=20))[where].said.startswith("does not speak HTTP")
        assert time.monotonic() - began < 10


def test_nobody_and_nowhere():
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
    nobody, nowhere = SocketAddress(HOST, port), SocketAddress("2001:db8::1", 80)
    found = ask([nobody, nowhere, nobody], PATIENCE)
    assert found[nobody].heard is Heard.NOBODY
    assert found[nowhere].heard is Heard.UNREACHABLE


def test_a_thousand_are_asked_at_once_in_bounded_time():
    with listening(http(json.dumps(TOLD).encode())) as where:
        begin = time.monotonic()
        others = [SocketAddress(f"127.83.4.{last}", 1 + last) for last in range(200)]
        found = ask([where, *others], PATIENCE)
    assert time.monotonic() - begin < 10
    assert [each.heard for each in found.values()].count(Heard.NOBODY) == 200
    assert found[where].heard is Heard.SIDECAR


def test_whether_the_process_of_a_bundle_listens(tmp_path):
    with socket.create_server((HOST, 0)) as ours, socket.create_server((HOST, 0)) as free:
        own, other = (SocketAddress(HOST, each.getsockname()[1]) for each in (ours, free))
        program = "import socket, sys; s = socket.socket(fileno=int(sys.argv[1])); print(flush=True); sys.stdin.read()"
        child = subprocess.Popen(
            [sys.executable, "-c", program, str(ours.fileno())],
            cwd=tmp_path,
            pass_fds=[ours.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with child:
            child.stdout.readline()
            pid = tmp_path / "pid"
            pid.write_text(f"{child.pid}\n")
            assert owner(tmp_path, pid, own) is Owner.SIDECAR
            assert owner(tmp_path, pid, other) is Owner.OTHER
            assert owner(tmp_path, pid, SocketAddress("::1", 1)) is Owner.NOBODY
            assert owner(tmp_path.parent, pid, own) is Owner.UNKNOWN
            child.stdin.close()
    assert owner(tmp_path, pid, own) is Owner.UNKNOWN
    for text in ("", "x", "-1", "9" * 30):
        pid.write_text(text)
        assert owner(tmp_path, pid, own) is Owner.UNKNOWN
    pid.unlink()
    os.mkfifo(pid)
    assert owner(tmp_path, pid, own) is Owner.UNKNOWN


def test_a_socket_file_with_a_long_path_is_asked(tmp_path, monkeypatch):
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    stats = (
        b'cluster_manager.cds.version_text: "a"\ncluster_manager.cds.update_rejected: 2\n'
        b'listener_manager.lds.version_text: "b"\nlistener_manager.lds.update_failure: 1\n'
    )
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("admin.sock")
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(http(stats))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        found = taken(folder / "admin.sock")
        thread.join(5)
    assert found is not None
    assert found.versions == {"cds.json": "a", "lds.json": "b"}
    assert found.refused == 3
    assert taken(folder / "admin.sock") is None
    assert ask_socket(tmp_path / "none" / "x", b"") is None


def test_the_version_that_a_file_says(tmp_path):
    (tmp_path / "lds.json").write_text('{"version_info": "sha256:1",\n"resources": []}')
    assert written(tmp_path / "lds.json") == "sha256:1"
    (tmp_path / "lds.json").write_bytes(b"\xff")
    assert written(tmp_path / "lds.json") == ""


BODIES = (
    (http(b"fine"), b"fine"),
    (http(b""), b""),
    (http(b"fine", "503 Unavailable"), None),
    (b"HTTP/1.1 200 OK\r\n\r\nfine", b"fine"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfine", None),
    (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (1 << 20), None),
    (b"SSH-2.0-OpenSSH\r\n", None),
    (b"", None),
)


@pytest.mark.parametrize(("answer", "expected"), BODIES)
def test_the_body_of_a_good_answer(answer, expected):
    with listening(answer) as where:
        assert body(where, "/ready", PATIENCE) == expected
    assert body(where, "/ready", PATIENCE) is None


@pytest.mark.parametrize("said", [b"HTTP/1.1 200 OK\r\n\r\nxxx", b"HTTP/1.1 200 OK\r\nX-More: ", None])
def test_an_answer_without_an_end_is_none(said):
    began = time.monotonic()
    with listening(said, close=False) as where:
        assert body(where, "/ready", PATIENCE) is None
    assert time.monotonic() - began < 5
