"""Programs are started, followed and stopped, and nothing of theirs is left, whatever ends the parent."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from datetime import timedelta
from pathlib import Path

import pytest

from meshctl import ir
from meshctl.diagnostics import ToolError
from meshctl.live.processes import ProcessGroup, Program, run
from meshctl.live.sidecars import Bundle, require_free, start
from meshctl.live.verify import Check, verify
from tests.sidecars import sidecar
from tests.turns import turn

# They use fixed addresses: one after the other, also with another run on the machine.
pytestmark = pytest.mark.xdist_group("processes")


@pytest.fixture(scope="module", autouse=True)
def alone():
    with turn("processes"):
        yield


STUBBORN = "trap '' TERM; echo up; while :; do sleep 0.1; done"
FORKING = "sleep 300 & echo $!; wait"

# A sidecar in miniature: serves /ready and /build with the build it is given.
ADMIN = """#!/bin/sh
exec {python} -c '
import http.server, json
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(json.dumps(dict(build="{build}")).encode())
    def log_message(self, *_): pass
http.server.HTTPServer(("{address}", 15000), Handler).serve_forever()
'
"""


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()[0] != "Z"


def gone(pid, limit=6.0):
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if not alive(pid):
            return True
        time.sleep(0.02)
    return False


def wait_for(lines, limit=5.0):
    deadline = time.monotonic() + limit
    while not lines and time.monotonic() < deadline:
        time.sleep(0.01)
    return lines[0][1]


def shell(script, tmp_path, name="it"):
    return Program(name, ("/bin/sh", "-c", script), tmp_path)


def test_output_comes_line_by_line_under_the_programs_name(tmp_path):
    lines = []
    with ProcessGroup(lambda *line: lines.append(line)) as group:
        process = group.start(shell("printf 'a\\nb\\377\\n'; echo c >&2", tmp_path, "web"))
        assert process.wait(time.monotonic() + 5)
    assert sorted(lines) == [("web", "a"), ("web", "b�"), ("web", "c")]


def test_a_stubborn_program_is_killed_after_the_grace(tmp_path):
    lines = []
    with ProcessGroup(lambda *line: lines.append(line), grace=timedelta(seconds=0.3)) as group:
        process = group.start(shell(STUBBORN, tmp_path))
        assert wait_for(lines) == "up"
    assert process.status == -signal.SIGKILL


def test_grandchildren_end_too_and_a_failure_half_way_stops_all(tmp_path):
    lines = []

    def fail_half_way():
        with ProcessGroup(lambda *line: lines.append(line)) as group:
            group.start(shell(FORKING, tmp_path))
            assert alive(int(wait_for(lines)))
            group.start(Program("gone", ("/nonexistent",), tmp_path))

    with pytest.raises(ToolError, match="cannot start gone"):
        fail_half_way()
    assert gone(int(lines[0][1]))


def test_nothing_survives_a_killed_parent(tmp_path):
    parent = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from meshctl.live.processes import ProcessGroup, Program
        with ProcessGroup(lambda name, line: print(line, flush=True)) as group:
            group.start(Program("it", ("/bin/sh", "-c", sys.argv[1]), Path(".")))
            time.sleep(300)
        """
    )
    child = subprocess.Popen([sys.executable, "-c", parent, FORKING], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    grandchild = int(child.stdout.readline())
    assert alive(grandchild)
    child.kill()
    child.wait()
    child.stdout.close()
    assert gone(grandchild)


def test_what_ends_by_itself_is_noticed(tmp_path):
    with ProcessGroup() as group:
        assert group.ended() is None
        process = group.start(shell("exit 3", tmp_path))
        process.wait(time.monotonic() + 5)
        assert group.ended() is process
        assert process.status == 3


def bundle(tmp_path, address, *, build="sha256:" + "0" * 64, script=None):
    one = sidecar("catalog", ir.Proxy.ENVOY, address=address)
    folder = tmp_path / "envoy"
    folder.mkdir()
    (folder / "run").write_text(script or ADMIN.format(python=sys.executable, build=build, address=address))
    (folder / "run").chmod(0o755)
    return Bundle(one, tmp_path)


def test_a_sidecar_is_awaited_until_it_serves_its_build(tmp_path):
    with ProcessGroup() as group:
        (process,) = start([bundle(tmp_path, "127.50.2.1")], group)
        assert process.status is None


def test_a_foreign_build_on_the_port_is_noticed(tmp_path):
    with ProcessGroup() as group, pytest.raises(ToolError, match="answers for build sha256:1, not sha256:0"):
        start([bundle(tmp_path, "127.50.2.2", build="sha256:1")], group)


def test_an_address_in_use_is_named(tmp_path):
    taken = r"catalog: inbound listener: 127\.50\.2\.3:15006 is already in use"
    with (
        socket.create_server(("127.50.2.3", 15006)),
        ProcessGroup() as group,
        pytest.raises(ToolError, match=taken),
    ):
        start([bundle(tmp_path, "127.50.2.3")], group)


def test_an_address_that_is_not_ours_is_named():
    with pytest.raises(ToolError, match=r"web: cannot listen on 192\.0\.2\.1:80"):
        require_free(ir.SocketAddress("192.0.2.1", 80), "web")


def test_a_proxy_that_ends_at_once_says_its_last_words(tmp_path):
    with ProcessGroup() as group, pytest.raises(ToolError, match=r"(?s)ended with status 1.*no such thing"):
        start([bundle(tmp_path, "127.50.2.4", script="#!/bin/sh\necho no such thing\nexit 1\n")], group)


def test_a_proxy_that_never_serves_is_given_up(tmp_path):
    with ProcessGroup() as group, pytest.raises(ToolError, match=r"is not ready at 127[.]50[.]2[.]5:15000"):
        start(
            [bundle(tmp_path, "127.50.2.5", script="#!/bin/sh\nsleep 300\n")], group, timedelta(seconds=0.4)
        )


@pytest.mark.parametrize(
    ("script", "ok"),
    [
        ("echo fine", True),
        ("exit 1", False),
        ("echo '[WARNING]  (1) : parsing [haproxy.cfg:3]'", False),
        ("echo 'nginx: [warn] conflicting server name'", False),
        ("echo '[2026-01-01 00:00:00.000][1][warning][main] deprecated'", False),
        ("sleep 5", False),
    ],
)
def test_a_validators_warning_is_an_error(tmp_path, script, ok):
    verdict = verify(Check("web", tmp_path, "sh", ("-c", script)), timedelta(seconds=1))
    assert verdict.ok is ok


def test_a_missing_validator_is_named(tmp_path):
    with pytest.raises(ToolError, match="no-such-proxy is not installed"):
        verify(Check("web", tmp_path, "no-such-proxy", ()))


def test_run_gives_status_and_output(tmp_path):
    assert run(("/bin/sh", "-c", "pwd; exit 4"), tmp_path, timedelta(seconds=5)) == (4, f"{tmp_path}\n")
