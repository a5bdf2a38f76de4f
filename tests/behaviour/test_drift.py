"""Drift is found on each proxy, of real processes: files, old builds, refused reloads, and who else is on the port."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from meshctl import ir, manifest
from meshctl.cli.app import run
from meshctl.live.processes import Process, ProcessGroup, Program
from meshctl.live.sidecars import await_open
from tests.turns import turn

ADDRESS = {proxy: f"127.83.2.{number}" for number, proxy in enumerate(ir.Proxy, start=1)}
CONFIGURATION = {ir.Proxy.ENVOY: "lds.json", ir.Proxy.HAPROXY: "haproxy.cfg", ir.Proxy.NGINX: "nginx.conf"}
TAKEN = 15097


def spec(proxy: ir.Proxy, *, service: str = "web", timeout: str = "3s", outbound: int = 15001) -> str:
    return f"""\
apiVersion: meshctl.dev/v1
mesh: {{name: test, domain: test.mesh, trustDomain: test.example, bind: endpoint, proxy: {proxy.value}, outbound: {{port: {outbound}}}}}
services:
  {service}: {{port: 8080, endpoints: [{{address: {ADDRESS[proxy]}}}], calls: {{stock: {{timeout: {timeout}}}}}}}
  stock: {{port: 8080, endpoints: [{{address: 127.83.2.9}}]}}
"""


@dataclass
class Host:
    """A deployed folder and what runs from it; ``mesh.yaml`` is what git says."""

    proxy: ir.Proxy
    capture: pytest.CaptureFixture[str]
    group: ProcessGroup
    deployed: Path = Path("deployed")

    @property
    def bundle(self) -> str:
        return f"web/{ADDRESS[self.proxy]}"

    @property
    def files(self) -> Path:
        return self.deployed / self.bundle / self.proxy

    def says(self, text: str) -> None:
        Path("mesh.yaml").write_text(text, "utf-8")

    def deploy(self, folder: Path | None = None) -> None:
        assert run(["build", "--verify", "none", "-o", str(folder or self.deployed)]) == 0

    def start(self, folder: Path) -> Process:
        process = self.group.start(Program("sidecar", (str(folder.resolve() / "run"),), folder.resolve()))
        for port in (15000, 15001):
            await_open(ir.SocketAddress(ADDRESS[self.proxy], port), process)
        return process

    def drift(self, *words: str) -> list[tuple[str, str]]:
        """Slug and path of what is found about `web`."""
        self.capture.readouterr()
        status = run(["drift", *words, "--only", "web", "--format", "json"])
        found = json.loads(self.capture.readouterr().out)
        assert status == int(found["drifted"]) == int(bool(found["findings"]))
        return [
            (each["slug"], (each["path"] or "").removeprefix(f"{self.bundle}/")) for each in found["findings"]
        ]

    def told(self) -> str:
        """What is printed for people."""
        self.capture.readouterr()
        assert run(["drift", "--bundle", str(self.deployed), "--live", "--only", "web"]) == 1
        return self.capture.readouterr().out

    def everything(self) -> list[tuple[str, str]]:
        return self.drift("--bundle", str(self.deployed), "--live")

    def tell_proxy(self) -> None:
        """As somebody does it who does not know `reload`: the proxy is told, and nobody asks what it did."""
        state = self.deployed / self.bundle / "run"
        match self.proxy:
            case ir.Proxy.ENVOY:
                for name in ("cds.json", "lds.json", "rds.json"):
                    shutil.copy(self.files / name, state / "xds" / f"{name}.new")
                    (state / "xds" / f"{name}.new").rename(state / "xds" / name)
            case ir.Proxy.HAPROXY:
                os.kill(int((state / "haproxy.pid").read_text()), signal.SIGUSR2)
            case ir.Proxy.NGINX:
                os.kill(int((state / "nginx.pid").read_text()), signal.SIGHUP)


@contextmanager
def host(proxy: ir.Proxy, capture: pytest.CaptureFixture[str]) -> Iterator[tuple[Host, Process]]:
    """A sidecar that runs as git says."""
    with turn(f"drift-{proxy}"), ProcessGroup() as group:
        found = Host(proxy, capture, group)
        found.says(spec(proxy))
        assert run(["certs", "init"]) == 0
        found.deploy()
        process = found.start(found.files)
        until([], found)
        yield found, process


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def until(expected: list[tuple[str, str]], host: Host) -> None:
    """Proxies take a moment; what is found in the end is what counts."""
    deadline = time.monotonic() + 15
    while (found := host.everything()) != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found == expected


@pytest.mark.parametrize("proxy", ir.Proxy)
def test_drift_of_files_builds_reloads_and_processes_is_found(proxy, capsys):
    with host(proxy, capsys) as (web, process):
        whole = web.deployed.with_name("whole")
        shutil.copytree(web.files, whole)
        name = CONFIGURATION[proxy]
        with (web.files / name).open("a") as file:
            file.write(" \n")
        assert web.everything() == [("edited-file", f"{proxy}/{name}")]
        (web.files / name).unlink()
        assert web.everything() == [("missing-file", f"{proxy}/{name}")]
        shutil.copy(whole / name, web.files / name)
        key = web.files.parent / "tls" / "cert.pem.key"
        key.chmod(0o640)
        (web.files / "notes").touch()
        assert web.everything() == [("extra-file", f"{proxy}/notes"), ("wrong-mode", "tls/cert.pem.key")]
        key.chmod(0o600)
        (web.files / "notes").unlink()

        web.says(spec(proxy, timeout="4s"))
        assert web.drift("--live") == [("outdated-sidecar", "")]
        assert web.everything() == [("outdated-bundle", ""), ("outdated-sidecar", "")]
        web.deploy()
        assert web.everything() == [("reload-not-taken", "")]
        web.tell_proxy()
        until([], web)

        web.group.stop([process])
        assert web.everything() == [("not-running", "")]


@pytest.mark.parametrize("proxy", ir.Proxy)
def test_a_reload_that_the_proxy_refuses_without_a_word_is_found(proxy, capsys):
    with host(proxy, capsys) as (web, _), socket.create_server((ADDRESS[proxy], TAKEN)):
        web.says(spec(proxy, outbound=TAKEN))
        web.deploy()
        web.tell_proxy()
        # Envoy's admin listener is another subscription than the one that is refused: it names the new build.
        until([("reload-not-taken", "")], web)
        said = web.told()
        assert said.startswith(f"{web.bundle}: MSH9013 reload-not-taken: ")
        assert ("goes on with other content than lds.json has" in said) == (proxy is ir.Proxy.ENVOY)


@pytest.mark.parametrize("proxy", ir.Proxy)
def test_a_foreign_proxy_on_the_port_is_found(proxy, capsys):
    with host(proxy, capsys) as (web, process):
        web.says(spec(proxy, service="shop"))
        other = Path("other")
        web.deploy(other)
        web.says(spec(proxy))
        web.group.stop([process])
        web.start(other / "shop" / ADDRESS[proxy] / proxy)
        words = f"another sidecar answers: shop/{ADDRESS[proxy]} of the mesh test ({proxy})"
        deadline = time.monotonic() + 15
        while words not in (said := web.told()) and time.monotonic() < deadline:
            # An Envoy that starts answers without a name.
            assert "foreign-program" in said
        assert words in said
        assert web.everything() == web.drift("--live") == [("foreign-program", "")]


def test_the_manifest_names_where_each_is_asked():
    Path("mesh.yaml").write_text(spec(ir.Proxy.ENVOY), "utf-8")
    assert run(["build", "--verify", "none"]) == 0
    found = manifest.read(Path("build")).bundles[f"web/{ADDRESS[ir.Proxy.ENVOY]}"]
    assert found.admin == f"{ADDRESS[ir.Proxy.ENVOY]}:15000"
