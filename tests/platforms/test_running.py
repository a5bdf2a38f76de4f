"""Each proxy starts, reloads and stops as a container has it: nobody's user, no capability, nothing to write but memory."""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from meshctl import ir, pipeline
from meshctl.live import programs
from meshctl.platforms import readiness
from meshctl.platforms.images import USER
from meshctl.targets import target
from tests.segmentation.hosts import NEEDED

SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {name: pods, domain: pods.mesh, trustDomain: pods.example, health: {port: 15021}}
services:
  envoy: {port: 8080, calls: {}}
  haproxy: {port: 8080, proxy: haproxy, calls: {}}
  nginx: {port: 8080, proxy: nginx, calls: {}}
"""

# Mounts as in a pod, where whoever has no rights here can look. `noexec` is what Docker gives memory; programs lie on
# volumes.
SCRIPT = """\
set -eu
mount -t tmpfs -o mode=1777,noexec,nosuid,nodev none /mnt
mkdir "/mnt/$PROXY" /mnt/tls
touch /mnt/program
mount --bind "$PROGRAM" /mnt/program
chown "$USER_ID:$USER_ID" "$BUNDLE/tls/cert.pem.key"
for each in "$PROXY" tls; do
    mount --bind "$BUNDLE/$each" "/mnt/$each"
    mount -o remount,ro,bind "/mnt/$each"
done
ip link set lo up
nobody() {
    exec setpriv --reuid "$USER_ID" --regid "$USER_ID" --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all -- "$@"
}
nobody "/mnt/$PROXY/run" >"$LOG" 2>&1 &
sidecar=$!
READY 127.0.0.1 15000 75 || { echo "not ready"; cat "$LOG"; exit 1; }
! READY 127.0.0.1 15999 1
perl -MIO::Socket::IP -e '$s = IO::Socket::IP->new("127.0.0.1:15021") and print $s "GET /ready HTTP/1.1\\r\\nHost: kubelet\\r\\nConnection: close\\r\\n\\r\\n" and print scalar <$s>'
(nobody "/mnt/$PROXY/reload")
kill -s "$STOP" "$sidecar"
status=0
wait "$sidecar" || status=$?
echo "ended $status"
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pods")
    (folder / "mesh.yaml").write_text(SPEC, "utf-8")
    validated = pipeline.validate(str(folder / "mesh.yaml"))
    now = datetime.now(UTC)
    pipeline.create_authority(validated, folder / "ca", now)
    pipeline.build(validated, folder / "build", now=now, authority=folder / "ca", verify="none")
    return folder / "build"


def program(proxy: str) -> str:
    if proxy != "envoy":
        return programs.find(proxy) or proxy
    # What is on the search path is a start script, in an environment that not everybody can look into.
    package = importlib.util.find_spec("envoy")
    assert package is not None
    assert package.origin is not None
    return str(Path(package.origin).parent / "_bin" / "envoy")


def started(proxy: ir.Proxy, bundle: Path, log: Path) -> subprocess.Popen[str]:
    admin = ir.AdminListener(ir.SocketAddress("127.0.0.1", 15000))
    ready = shlex.join(readiness.command(admin)[:4])
    users = () if os.geteuid() == 0 else ("--user", "--map-root-user", "--map-auto")
    argv = ("unshare", *users, "--net", "--mount", "--pid", "--fork", "--mount-proc")
    return subprocess.Popen(
        [*argv, "sh", "-c", SCRIPT.replace("READY", ready)],
        env={
            "PATH": programs.search_path(),
            "PROXY": proxy,
            "PROGRAM": program(proxy),
            "BUNDLE": str(bundle),
            "LOG": str(log),
            "USER_ID": str(USER),
            "STOP": target(proxy).COMMANDS.stop.removeprefix("SIG"),
            proxy.upper(): "/mnt/program",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_bundle_runs_where_nothing_can_be_written(built, tmp_path):
    # Each in namespaces of its own, so all at a time.
    all_of_them = {each: started(each, built / each, tmp_path / each) for each in ir.Proxy}
    for proxy, process in all_of_them.items():
        told, complaints = process.communicate(timeout=60)
        assert process.returncode == 0, f"{proxy}\n{NEEDED}\n{told}\n{complaints}"
        assert "HTTP/1.1 200 OK\n" in told, proxy
        # 143: HAProxy, when it is told to end (SuccessExitStatus=).
        assert told.endswith(("ended 0\n", "ended 143\n")), proxy
