"""A new build under load: `reload` drops no new connection, proves what is served, and survives a refusal."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import pytest

from meshctl import ir
from meshctl.diagnostics import ToolError
from meshctl.live.processes import ProcessGroup, Program
from meshctl.live.sidecars import Bundle, await_open, start
from meshctl.pki.authority import create_authority
from tests.behaviour import world
from tests.behaviour.load import Load, asked, connection, told
from tests.turns import turn

EFFECT_SECONDS = 2
"""From the end of `reload` until no new connection gets an answer of before."""

NETWORK = {proxy: f"127.49.{number}." for number, proxy in enumerate(ir.Proxy, start=1)}
TAKEN = 15099


# Such tries are requests inside of NGINX, and a worker of before asks one of those that came after it.
RETRIES = {
    ir.Proxy.NGINX: {"retries": {"attempts": 2, "retryOn": ["connect-failure", "refused-stream", "reset"]}},
}


def specification(proxy: ir.Proxy, told: str, more: tuple[str, ...] = (), **mesh) -> dict:
    """Two sidecars; the caller tells which configuration it has, and knows more callees in one than in another."""
    net = NETWORK[proxy]
    told_route = {
        "name": "told",
        "matches": [{"path": {"exact": "/told"}}],
        "respond": {"status": 200, "body": told},
    }
    others = {
        name: {"port": 8080, "endpoints": [{"address": f"{net}{number}"}]}
        for number, name in enumerate(more, start=3)
    }
    return {
        "apiVersion": "meshctl.dev/v1",
        "mesh": {
            "name": "test",
            "domain": world.DOMAIN,
            "trustDomain": world.TRUST_DOMAIN,
            "bind": "endpoint",
            "proxy": proxy.value,
            **mesh,
        },
        "services": {
            "web": {
                "port": 8080,
                "endpoints": [{"address": f"{net}1"}],
                "calls": {**{name: {} for name in more}, "catalog": {}},
            },
            "catalog": {
                "port": 8080,
                "endpoints": [{"address": f"{net}2"}],
                "routes": [told_route, {"name": "rest", "timeout": f"{len(told)}s"}],
                **RETRIES.get(proxy, {}),
            },
            **others,
        },
    }


@dataclass
class Mesh:
    """Two running sidecars, and the builds that can be brought in."""

    proxy: ir.Proxy
    bundles: dict[str, Bundle]
    variants: dict[str, tuple[ir.Mesh, Path]]

    @property
    def web(self) -> ir.SocketAddress:
        return self.bundles["web"].sidecar.outbound.bind

    def as_caller(self, service: str) -> http.client.HTTPConnection:
        """A connection as the sidecar of `web` has it."""
        callee = self.bundles[service].sidecar
        assert callee.inbound is not None
        bind, name = callee.inbound.bind, callee.identity.server_name
        connection = http.client.HTTPConnection(bind.address, bind.port, timeout=15)
        raw = socket.create_connection((bind.address, bind.port), 15)
        connection.sock = self._context.wrap_socket(raw, server_hostname=name)
        connection.auto_open = 0
        return connection

    @cached_property
    def _context(self) -> ssl.SSLContext:
        return world.client_context(self.bundles["web"].folder)

    def deploy(self, variant: str) -> None:
        """Write another build over what runs, as `meshctl build` does."""
        mesh, out = self.variants[variant]
        for each in mesh.sidecars:
            if each.service in self.bundles:
                source = out / each.service / each.instance
                shutil.copytree(
                    source / self.proxy, self.bundles[each.service].folder / self.proxy, dirs_exist_ok=True
                )

    def reload(self, service: str) -> subprocess.CompletedProcess[str]:
        script = self.bundles[service].folder / self.proxy / "reload"
        return subprocess.run([script], cwd="/", capture_output=True, text=True, check=False, timeout=90)

    def build(self, service: str) -> str | None:
        """What the sidecar says it serves."""
        where = self.bundles[service].sidecar.admin.bind
        with closing(connection(where)) as admin:
            admin.request("GET", "/build")
            return admin.getresponse().read().decode().partition('"build":"')[2].partition('"')[0]

    def built(self, variant: str, service: str) -> str:
        return next(each.build for each in self.variants[variant][0].sidecars if each.service == service)


@contextmanager
def running(proxy: ir.Proxy, folder: Path) -> Iterator[Mesh]:
    """``first`` runs; ``second``, ``moved`` (its admin port) and ``taken`` (an outbound port of others) are built."""
    authority = create_authority(world.TRUST_DOMAIN, datetime.now(UTC))
    written = {
        "first": specification(proxy, "first", ("before",)),
        "second": specification(proxy, "second", ("after", "afterwards")),
        "moved": specification(proxy, "moved", admin={"port": 15098}),
        "taken": specification(proxy, "taken", outbound={"port": TAKEN}),
    }
    variants = {name: world.build(spec, folder / name, authority) for name, spec in written.items()}
    mesh, built = variants["first"]
    out = folder / "live"
    shutil.copytree(built, out)
    bundles = {
        each.service: Bundle(each, out / each.service / each.instance)
        for each in mesh.sidecars
        if each.service in ("web", "catalog")
    }
    application = ir.SocketAddress(f"{NETWORK[proxy]}2", 8080)
    argv = (sys.executable, "-m", "meshctl.live.echo", f"{application}=catalog/1")
    with turn(f"reload-{proxy}"), ProcessGroup() as group:
        await_open(application, group.start(Program("echo", argv, folder)))
        start(list(bundles.values()), group)
        yield Mesh(proxy, bundles, variants)
        assert group.ended() is None


LAST = {(200, True)}
"""What an idle connection of before gets for its next request: the status, and whether it was the last."""


@contextmanager
def _kept(mesh: Mesh, service: str) -> Iterator[list[http.client.HTTPConnection]]:
    """Connections that have served a request each: of the application, or of a caller's sidecar."""
    connect = {"web": lambda: connection(mesh.web), "catalog": lambda: mesh.as_caller("catalog")}[service]
    connections = [connect() for _ in range(20)]
    for each in connections:
        assert asked(each) == "200"
    yield connections
    for each in connections:
        each.close()


def _last(connection: http.client.HTTPConnection) -> tuple[int, bool] | None:
    try:
        connection.request("GET", "/", headers={"Host": "catalog"})
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException):
        return None
    return response.status, response.getheader("connection") == "close"


def _until_told(where: ir.SocketAddress, wanted: str) -> float:
    """Seconds until twenty answers in a row are the new ones."""
    began = time.monotonic()
    row = 0
    while row < 20:
        row = row + 1 if told(where) == wanted else 0
        assert time.monotonic() - began < EFFECT_SECONDS + 5, wanted
    return time.monotonic() - began


def _reload_under_load(proxy: ir.Proxy, folder: Path, rounds: int) -> Load:
    with running(proxy, folder) as mesh, Load(mesh.web) as load:
        time.sleep(0.3)
        for number in range(rounds):
            variant = ("second", "first")[number % 2]
            mesh.deploy(variant)
            for service in ("catalog", "web"):
                with _kept(mesh, service) as idle:
                    done = mesh.reload(service)
                    assert (done.returncode, done.stderr) == (0, "")
                    assert mesh.build(service) == mesh.built(variant, service)
                    answered = {_last(each) for each in idle}
                    # Envoy's listener of `catalog` is the same in both, so it goes on with what it has.
                    same = proxy is ir.Proxy.ENVOY and service == "catalog"
                    assert answered == ({(200, False)} if same else LAST)
            assert _until_told(mesh.web, variant) < EFFECT_SECONDS
        time.sleep(0.3)
    print(proxy, dict(load.fresh), dict(load.kept))
    assert set(load.fresh) == {"200"}, load.fresh
    assert load.fresh["200"] > 20 * rounds
    assert set(load.kept) == {"200"}, load.kept
    return load


@pytest.mark.parametrize("proxy", ir.Proxy)
def test_nothing_new_is_dropped(proxy, tmp_path):
    _reload_under_load(proxy, tmp_path, rounds=1)


@pytest.mark.soak
@pytest.mark.parametrize("proxy", ir.Proxy)
def test_nothing_new_is_dropped_in_ten_rounds(proxy, tmp_path):
    _reload_under_load(proxy, tmp_path, rounds=10)


@pytest.mark.parametrize("proxy", ir.Proxy)
def test_a_refused_build_changes_nothing(proxy, tmp_path):
    with running(proxy, tmp_path) as mesh:
        before = mesh.build("web")
        folder = mesh.bundles["web"].folder / proxy
        with Load(mesh.web) as load:
            # Refused by the proxy's own validator.
            for name in ("check.json", "haproxy.cfg", "nginx.conf"):
                if (folder / name).exists():
                    with (folder / name).open("a") as file:
                        file.write("\nneither here nor there\n")
            done = mesh.reload("web")
            assert done.returncode == 1
            assert "nothing was changed" in done.stderr
            # Refused when it is to be applied.
            mesh.deploy("taken")
            with socket.create_server((mesh.web.address, TAKEN)):
                done = mesh.reload("web")
            assert done.returncode == 1
            assert f"cannot listen on {mesh.web.address}:{TAKEN}: Address already in use" in done.stderr
            assert mesh.build("web") == before
            assert told(mesh.web) == "first"
        print(proxy, done.stderr, dict(load.fresh), dict(load.kept))
        assert set(load.fresh) == {"200"}, load.fresh
        # And the next good one is taken.
        mesh.deploy("second")
        done = mesh.reload("web")
        assert (done.returncode, done.stderr) == (0, "")
        _until_told(mesh.web, "second")


@pytest.mark.parametrize("proxy", ir.Proxy)
def test_what_does_not_run_cannot_be_reloaded(proxy, tmp_path):
    mesh, out = world.build(specification(proxy, "alone"), tmp_path)
    sidecar = mesh.sidecars[0]
    script = out / sidecar.service / sidecar.instance / proxy / "reload"
    done = subprocess.run([script], capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (2, "reload: no sidecar runs from this bundle\n")
    # Another user's, for root to reload.
    lock, precious = script.parents[1] / "run/reload.lock", tmp_path / "precious"
    precious.write_text("kept")
    lock.unlink()
    lock.symlink_to(precious)
    for number in range(1 if os.geteuid() else 2):
        if number:
            lock.unlink()
            os.chown(lock.parent, 65534, 65534)
        done = subprocess.run([script], capture_output=True, text=True, check=False, timeout=30)
        assert (done.returncode, precious.read_text()) == (2, "kept")
        assert "../run is not this user's own" in done.stderr
    assert lock.exists() == bool(os.geteuid())


def _spoil(folder: Path) -> None:
    """What Envoy subscribes to, and not what its validator is shown."""
    file = folder / "lds.json"
    file.write_text(file.read_text().replace('"per_connection_buffer_limit_bytes"', '"nonsense"'))


def test_envoy_says_where_the_reason_stands_for_a_file_that_is_no_json(tmp_path):
    with running(ir.Proxy.ENVOY, tmp_path) as mesh:
        file = mesh.bundles["web"].folder / "envoy" / "lds.json"
        file.write_text(file.read_text()[:-20])
        done = mesh.reload("web")
        assert done.returncode == 1
        assert "what ran goes on, for Envoy refused the files of this bundle: " in done.stderr
        assert "the log of the sidecar" in done.stderr
        assert told(mesh.web) == "first"


def test_envoy_goes_back_when_it_refuses_a_part(tmp_path):
    with running(ir.Proxy.ENVOY, tmp_path) as mesh:
        before = mesh.build("web")
        mesh.deploy("second")
        _spoil(mesh.bundles["web"].folder / "envoy")
        with Load(mesh.web) as load:
            time.sleep(0.1)
            done = mesh.reload("web")
        assert done.returncode == 1
        assert f"{before} goes on, for Envoy refused {mesh.built('second', 'web')}" in done.stderr
        assert mesh.build("web") == before
        assert told(mesh.web) == "first"
        assert set(load.fresh) == {"200"}, load.fresh
        # A start fixes some things for good.
        mesh.deploy("moved")
        done = mesh.reload("web")
        assert done.returncode == 2
        assert "end it and start it with run" in done.stderr
        assert mesh.build("web") == before


def test_envoy_is_not_asked_to_take_a_bundle_with_a_part_missing(tmp_path):
    with running(ir.Proxy.ENVOY, tmp_path) as mesh:
        before = mesh.build("web")
        mesh.deploy("second")
        (mesh.bundles["web"].folder / "envoy/lds.json").unlink()
        done = mesh.reload("web")
        assert done.returncode == 1
        assert "nothing was changed, for lds.json is missing or empty" in done.stderr
        assert mesh.build("web") == before
        assert told(mesh.web) == "first"


def test_envoy_forgets_clusters_of_before_after_its_listeners(tmp_path):
    with running(ir.Proxy.ENVOY, tmp_path) as mesh:
        folder = mesh.bundles["web"].folder
        live = folder / "run" / "xds" / "cds.json"
        mesh.deploy("second")
        script = folder / "envoy" / "reload"
        assert "sleep 60\n" in script.read_text()
        script.write_text(script.read_text().replace("sleep 60\n", "sleep 1\n"))
        assert mesh.reload("web").returncode == 0
        assert '"name":"before"' in live.read_text()
        assert '"name":"after"' in live.read_text()
        deadline = time.monotonic() + 20
        while '"name":"before"' in live.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert live.read_bytes() == (folder / "envoy" / "cds.json").read_bytes()
        assert told(mesh.web) == "second"


def test_envoy_does_not_start_with_a_part(tmp_path):
    mesh, out = world.build(specification(ir.Proxy.ENVOY, "alone"), tmp_path)
    sidecar = mesh.sidecars[0]
    bundle = Bundle(sidecar, out / sidecar.service / sidecar.instance)
    _spoil(bundle.folder / "envoy")
    with (
        turn("reload-envoy"),
        ProcessGroup() as group,
        pytest.raises(ToolError, match="ended with status -9") as told,
    ):
        start([bundle], group)
    assert "Envoy refused a part of it" in str(told.value)
