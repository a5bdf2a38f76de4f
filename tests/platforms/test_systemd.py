"""systemd takes the units, finds them well shut, and reads each argument as it was meant."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from meshctl import pipeline
from meshctl.diagnostics import UsageError
from meshctl.ir import AdminListener, SocketAddress
from meshctl.platforms import Options, Platform, readiness, systemd
from tests.platforms.making import made, validated

LARGEST_EXPOSURE = 20
"""In tenths of what systemd counts up to 10.0; where this was written it was 1.7 and 1.0."""


def placed(name: str, folder: Path) -> list[Path]:
    """Units of a mesh, as they lie on a host, with the bundles that they start."""
    for each in pipeline.emit(validated(name).require()):
        path = folder / "bundles" / each.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(each.content)
        path.chmod(0o755 if each.executable else 0o644)
    units = folder / "units"
    units.mkdir()
    found = []
    for artifact in made(name, Platform.SYSTEMD, bundles=str(folder / "bundles")):
        if not artifact.path.endswith(".sysusers"):
            found.append(units / Path(artifact.path).name)
            found[-1].write_bytes(artifact.content)
    return found


def verified(units: list[Path]) -> str:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(each.name for each in units)],
        env={"SYSTEMD_UNIT_PATH": f"{units[0].parent}:", "PATH": "/usr/bin:/bin"},
        cwd=units[0].parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    # What it says of the machine's own units is nothing of ours.
    names = {each.name for each in units}
    return "".join(
        each
        for each in done.stderr.splitlines(keepends=True)
        if str(units[0].parent) in each or each.partition(":")[0] in names
    )


def test_systemd_takes_every_unit(tmp_path):
    units = placed("reference", tmp_path)
    assert verified(units) == ""
    broken = next(each for each in units if each.name.endswith("-sidecar.service") or "@" in each.name)
    text = broken.read_text("utf-8")
    broken.write_text(text.replace("KillMode=mixed", "KillMode=maybe"), "utf-8")
    assert "maybe" in verified(units)
    broken.write_text(text.replace("/run\nExecStartPost", "/ran\nExecStartPost"), "utf-8")
    assert "/ran is not executable" in verified(units)


def test_systemd_finds_them_well_shut(tmp_path):
    units = [each for each in placed("reference", tmp_path) if each.suffix == ".service"]
    for each in (next(it for it in units if "certificate" in it.name), units[1]):
        arguments = ["--offline=true", f"--threshold={LARGEST_EXPOSURE}", str(each)]
        done = subprocess.run(
            ["systemd-analyze", "security", *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-400:]


def test_sysusers_takes_every_account(tmp_path):
    accounts = [each for each in made("reference", Platform.SYSTEMD) if each.path.endswith(".sysusers")]
    for number, each in enumerate(accounts):
        (tmp_path / f"{number}.conf").write_bytes(each.content)
    done = subprocess.run(
        ["systemd-sysusers", "--dry-run", *map(str, sorted(tmp_path.glob("*.conf")))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "Failed" not in done.stderr
    assert "catalog-sidecar" in done.stdout + done.stderr


def test_the_program_arrives_as_it_is():
    words = readiness.command(AdminListener(SocketAddress("127.86.0.1", 15000)), 60)
    text = systemd._command(words)
    # By the rules of systemd.service(5): doubled signs stand for themselves, quotes and backslashes as in C.
    assert "%" not in text.replace("%%", "")
    assert "$" not in text.replace("$$", "")
    assert tuple(shlex.split(text.replace("$$", "$").replace("%%", "%"))) == words


WORDS = ("plain", 'a "b"', "back\\slash", "50%", "$HOME", "a b", "", "'", "\\n", "x;y", "#z", "a\\", "é")


def test_systemd_reads_each_word_as_it_is(tmp_path):
    unit = tmp_path / "one.service"
    lines = [systemd._command(["/usr/bin/printf", text]) for text in WORDS]
    unit.write_text("[Service]\nType=oneshot\n" + "".join(f"ExecStart={each}\n" for each in lines), "utf-8")
    assert verified([unit]) == ""
    assert not any("%" in each.replace("%%", "") or "$" in each.replace("$$", "") for each in lines)
    assert [shlex.split(each.replace("$$", "$").replace("%%", "%"))[1] for each in lines] == list(WORDS)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"user": "root"}, "'root' is not the name of a user"),
        ({"user": "{service}\nExecStart=/bin/sh"}, "is not the name of a user"),
        ({"user": "{service}-with-a-name-that-is-too-long"}, "choose others with --user"),
        ({"application": "x y"}, "'x y' is not the name of a unit"),
        ({"application": "{service}\n[Service]"}, "is not the name of a unit"),
        ({"application": "edge-sidecar"}, "edge-sidecar.service would be two things"),
        ({"application": ".."}, "is not the name of a unit"),
    ],
)
def test_what_is_no_name_is_refused(options, said):
    with pytest.raises(UsageError, match=said.replace("(", r"\(")):
        made("reference", Platform.SYSTEMD, **options)


def test_a_home_is_not_hidden_from_those_who_live_there():
    found = made("reference", Platform.SYSTEMD, bundles="/home/mesh/build")[0].content.decode()
    assert "ProtectHome=read-only\n" in found
    assert b"PrivateTmp=no\n" in made("reference", Platform.SYSTEMD, bundles="/tmp/mesh")[0].content  # noqa: S108


def test_ports_that_are_not_for_everybody_need_a_capability(tmp_path):
    spec = tmp_path / "mesh.yaml"
    spec.write_text(
        "apiVersion: meshctl.dev/v1\n"
        "mesh: {name: m, domain: m.mesh, trustDomain: m.example}\n"
        "services: {web: {port: 8080, calls: {}}}\n"
        "gateways: {edge: {port: 80, calls: {web: {}}, routes: [{name: all, backends: [{service: web}]}]}}\n",
        "utf-8",
    )
    artifacts = pipeline.deploy(pipeline.validate(str(spec)), Platform.SYSTEMD, Options())[0]
    texts = {Path(each.path).name: each.content.decode() for each in artifacts}
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE\n" in texts["edge-sidecar.service"]
    assert "Capabilities" not in texts["web-sidecar.service"]
    assert "CapabilityBoundingSet=\n" in texts["web-sidecar.service"]
