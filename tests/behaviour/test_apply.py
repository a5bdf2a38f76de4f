"""`meshctl apply` on real proxies: no new connection is dropped, and what does not come up is taken back."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from meshctl import ir
from meshctl.cli.app import run
from meshctl.live.processes import ProcessGroup, Program
from meshctl.live.reloading import served
from meshctl.live.sidecars import START_LIMIT, Bundle, await_open, await_ready, start
from meshctl.pki.authority import create_authority
from tests.behaviour import world
from tests.behaviour.load import Load, told
from tests.turns import turn

NETWORK = {proxy: f"127.87.{number}." for number, proxy in enumerate(ir.Proxy, start=2)}
TAKEN = 15099


def specification(proxy: ir.Proxy, told: str, **mesh) -> dict:
    """Two sidecars; the caller tells which build it has."""
    net = NETWORK[proxy]
    route = {
        "name": "told",
        "matches": [{"path": {"exact": "/told"}}],
        "respond": {"status": 200, "body": told},
    }
    service = {"port": 8080, "endpoints": [{"address": f"{net}2"}], "routes": [route, {"name": "rest"}]}
    settings = {"name": "test", "domain": world.DOMAIN, "trustDomain": world.TRUST_DOMAIN, "bind": "endpoint"}
    return {
        "apiVersion": "meshctl.dev/v1",
        "mesh": {**settings, "proxy": proxy.value, **mesh},
        "services": {
            "web": {"port": 8080, "endpoints": [{"address": f"{net}1"}], "calls": {"catalog": {}}},
            # The callee's own rules differ, too.
            "catalog": {
                **service,
                "allow": [{"from": ["web"]}, {"from": ["web"], "paths": [{"prefix": f"/{told}"}]}],
            },
        },
    }


@dataclass
class Host:
    """A folder of bundles that run, and builds for it."""

    proxy: ir.Proxy
    folder: Path
    meshes: dict[str, ir.Mesh]

    @property
    def live(self) -> Path:
        return self.folder / "live"

    @property
    def web(self) -> Path:
        return self.live / "web" / f"{NETWORK[self.proxy]}1"

    @property
    def outbound(self) -> ir.SocketAddress:
        return self.sidecar("first").outbound.bind

    def built(self, build: str) -> Path:
        return self.folder / build / "build"

    def sidecar(self, build: str, service: str = "web") -> ir.Sidecar:
        return next(each for each in self.meshes[build].sidecars if each.service == service)

    def apply(self, capfd, build: str, *arguments: str) -> tuple[int, dict[str, str], str]:
        """Exit code, what became of each service, and all messages."""
        capfd.readouterr()
        words = ["--bundle", str(self.built(build)), "--to", str(self.live), "--format", "json"]
        code = run(["apply", *words, *arguments])
        found = json.loads(capfd.readouterr().out)["bundles"]
        states = {each["bundle"].partition("/")[0]: each["state"] for each in found}
        return code, states, " ".join(each["message"] for each in found)

    def require(self, build: str) -> None:
        """It is what `web` serves, and its files are there."""
        sidecar = self.sidecar(build)
        assert served(sidecar.admin.bind) == sidecar.build
        assert told(self.outbound) == build
        listed = {
            each: (self.built(build) / "web" / self.web.name / self.proxy / each)
            for each in ("run", "reload")
        }
        for name, path in listed.items():
            assert (self.web / self.proxy / name).read_bytes() == path.read_bytes()


SUPERVISOR = 'while :; do "$0" || :; sleep 0.1; done'
RESTART = """\
#!/bin/sh
pid=$(cat "$MESHCTL_BUNDLE/run/pid")
kill "$pid" || exit 0
while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
"""


@contextmanager
def running(proxy: ir.Proxy, folder: Path, capfd, *supervised: str) -> Iterator[Host]:
    """``first`` was applied, and runs; ``second`` and ``moved`` are built, and ``admin``, which only a start can bring to Envoy.

    Somebody starts the ``supervised`` services again when they end.
    """
    authority = create_authority(world.TRUST_DOMAIN, datetime.now(UTC))
    written = {
        "first": specification(proxy, "first"),
        "second": specification(proxy, "second"),
        "moved": specification(proxy, "moved", outbound={"port": TAKEN}),
        "admin": specification(proxy, "admin", admin={"port": TAKEN}),
    }
    meshes = {name: world.build(spec, folder / name, authority)[0] for name, spec in written.items()}
    host = Host(proxy, folder, meshes)
    application = ir.SocketAddress(f"{NETWORK[proxy]}2", 8080)
    argv = (sys.executable, "-m", "meshctl.live.echo", f"{application}=catalog/1")
    with turn(f"apply-{proxy}"), ProcessGroup() as group:
        # On a host that has nothing the certificates that were built come along.
        chosen = ("--service", "web", "--service", "catalog")
        assert host.apply(capfd, "first", *chosen)[:2] == (0, {"web": "in-place", "catalog": "in-place"})
        await_open(application, group.start(Program("echo", argv, folder)))
        bundles = [
            Bundle(each, host.live / each.service / each.instance) for each in meshes["first"].sidecars
        ]
        start([each for each in bundles if each.sidecar.service not in supervised], group)
        for each in (each for each in bundles if each.sidecar.service in supervised):
            argv = ("sh", "-c", SUPERVISOR, str(each.folder / proxy / "run"))
            process = group.start(Program(each.name, argv, folder))
            await_ready(each, process, time.monotonic() + START_LIMIT.total_seconds())
        yield host
        assert group.ended() is None


def _apply_under_load(proxy: ir.Proxy, folder: Path, rounds: int, capfd) -> None:
    with running(proxy, folder, capfd) as host, Load(host.outbound) as load:
        time.sleep(0.2)
        for number in range(rounds):
            build = ("second", "first")[number % 2]
            code, states, messages = host.apply(capfd, build)
            assert (code, set(states.values())) == (0, {"applied"}), messages
            # Callees first.
            assert list(states) == ["catalog", "web"]
            host.require(build)
        time.sleep(0.2)
    print(proxy, dict(load.fresh), dict(load.kept))
    assert set(load.fresh) == {"200"}, load.fresh
    assert load.fresh["200"] > 20 * rounds
    assert set(load.kept) == {"200"}, load.kept


@pytest.mark.soak
@pytest.mark.parametrize("proxy", ir.Proxy)
def test_nothing_new_is_dropped_in_ten_applies(proxy, tmp_path, capfd):
    _apply_under_load(proxy, tmp_path, 10, capfd)


def _sign(host: Host, build: str, name: str) -> None:
    """Make the manifest agree with an edited file of `web`, so that nobody but the proxy can notice."""
    path = f"web/{host.web.name}/{host.proxy}/{name}"
    manifest = json.loads((host.built(build) / "manifest.json").read_text())
    manifest["files"][path]["sha256"] = hashlib.sha256((host.built(build) / path).read_bytes()).hexdigest()
    (host.built(build) / "manifest.json").write_text(json.dumps(manifest))


def _append(host: Host, build: str, name: str, text: str) -> None:
    path = host.built(build) / "web" / host.web.name / host.proxy / name
    path.write_text(path.read_text() + text)
    _sign(host, build, name)


def _nonsense(host: Host) -> None:
    """The proxy's own validator refuses it."""
    name = {ir.Proxy.ENVOY: "check.json", ir.Proxy.HAPROXY: "haproxy.cfg", ir.Proxy.NGINX: "check.conf"}
    shutil.copytree(host.folder / "second", host.folder / "nonsense")
    _append(host, "nonsense", name[host.proxy], "\nneither here nor there\n")


def _require_reason(proxy: ir.Proxy, messages: str) -> None:
    """The proxy's own words for what :func:`_nonsense` wrote, and where it is."""
    words = {
        ir.Proxy.ENVOY: r"'check\.json': .*extraneous characters after end of JSON object",
        ir.Proxy.HAPROXY: r"\[haproxy\.cfg:[1-9][0-9]*\] : unknown keyword 'neither'",
        ir.Proxy.NGINX: r"unexpected end of file, .* in \./check\.conf:[1-9]",
    }
    assert messages.lower().startswith(f"nothing was changed: {proxy.value} does not take it: ")
    assert re.search(words[proxy], messages), messages


def _stillborn(host: Host) -> None:
    """The validator takes it, and it does not come up."""
    shutil.copytree(host.folder / "second", host.folder / "stillborn")
    address = host.outbound.address
    root = host.built("stillborn") / "web" / host.web.name / host.proxy
    match host.proxy:
        case ir.Proxy.ENVOY:
            file = root / "lds.json"
            file.write_text(file.read_text().replace('"per_connection_buffer_limit_bytes"', '"nonsense"'))
            _sign(host, "stillborn", "lds.json")
        case ir.Proxy.HAPROXY:
            late = f"\nfrontend late\n  mode http\n  bind {address}:{TAKEN}\n  timeout client 1s\n  http-request deny\n"
            _append(host, "stillborn", "haproxy.cfg", late)
        case ir.Proxy.NGINX:
            (root / "check.conf").write_bytes((root / "nginx.conf").read_bytes())
            _sign(host, "stillborn", "check.conf")
            _append(
                host,
                "stillborn",
                "nginx.conf",
                f"\nstream {{ server {{ listen {address}:{TAKEN}; return x; }} }}\n",
            )


@pytest.mark.parametrize("proxy", ir.Proxy)
def test_an_apply_comes_in_or_changes_nothing(proxy, tmp_path, capfd):
    with running(proxy, tmp_path, capfd) as host:
        _nonsense(host)
        with Load(host.outbound) as load:
            code, states, messages = host.apply(capfd, "nonsense")
            # Whatever else could come in does not, either: nothing was begun.
            assert (code, states) == (1, {"catalog": "not-reached", "web": "refused"}), messages
            _require_reason(proxy, messages)
            # The same where nothing runs yet.
            idle = ("--to", str(tmp_path / "idle"), "--service", "web")
            code, states, messages = host.apply(capfd, "nonsense", *idle)
            assert (code, states) == (1, {"web": "refused"}), messages
            _require_reason(proxy, messages)
            with socket.create_server((host.outbound.address, TAKEN)):
                code, states, messages = host.apply(capfd, "moved", "--service", "web")
                assert (code, states) == (1, {"web": "refused"})
                assert f"cannot listen on {host.outbound.address}:{TAKEN}" in messages
            host.require("first")
            for build in ("second", "first"):
                code, states, messages = host.apply(capfd, build)
                assert (code, states) == (0, {"catalog": "applied", "web": "applied"}), messages
                host.require(build)
        print(proxy, dict(load.fresh), dict(load.kept))
        assert set(load.fresh) == {"200"}, load.fresh


@pytest.mark.soak
@pytest.mark.parametrize("proxy", ir.Proxy)
def test_what_does_not_come_up_is_taken_back(proxy, tmp_path, capfd):
    """Quicker, with a program in the place of a proxy: tests/cli/test_apply.py."""
    with running(proxy, tmp_path, capfd) as host:
        _stillborn(host)
        with socket.create_server((host.outbound.address, TAKEN)):
            code, states, messages = host.apply(capfd, "stillborn", "--service", "web")
        print(messages)
        assert (code, states) == (1, {"web": "rolled-back"}), messages
        host.require("first")


@pytest.mark.soak
def test_a_start_brings_what_a_reload_cannot_or_is_taken_back(tmp_path, capfd, monkeypatch):
    """Envoy's admin listener moves, which cuts connections; then somebody else has the address that it moves to."""
    monkeypatch.setattr("meshctl.pipeline.exchanging.START_LIMIT", timedelta(seconds=10))
    (tmp_path / "restart").write_text(RESTART)
    (tmp_path / "restart").chmod(0o755)
    restart = ("--service", "web", "--restart", str(tmp_path / "restart"))
    with running(ir.Proxy.ENVOY, tmp_path, capfd, "web") as host:
        pid_file = host.web / "run/pid"
        before = pid_file.read_text()
        code, states, messages = host.apply(capfd, "admin", "--service", "web")
        assert (code, states) == (2, {"web": "failed"}), messages
        assert "--restart COMMAND" in messages
        host.require("first")
        assert pid_file.read_text() == before
        code, states, messages = host.apply(capfd, "admin", *restart)
        assert (code, states) == (0, {"web": "applied"}), messages
        host.require("admin")
        assert pid_file.read_text() != before
        # And back by the same way.
        code, states, messages = host.apply(capfd, "first", *restart)
        assert (code, states) == (0, {"web": "applied"}), messages
        host.require("first")
        with socket.create_server((host.outbound.address, TAKEN)):
            code, states, messages = host.apply(capfd, "admin", *restart)
        assert (code, states) == (1, {"web": "rolled-back"}), messages
        assert "does not answer for" in messages
        host.require("first")
