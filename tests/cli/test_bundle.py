"""`meshctl bundle`: which files are whose, what ends how, and what cannot be asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from meshctl import pipeline
from meshctl.cli.app import run
from meshctl.platforms import Options, Platform

ROOT = Path(__file__).resolve().parents[2]
SPEC = str(ROOT / "docs" / "segmentation.yaml")
CLUSTER = str(ROOT / "docs" / "deploy.yaml")
SHOP = str(ROOT / "examples" / "shop")


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def files(folder: str = ".") -> dict[str, bytes]:
    return {str(each): each.read_bytes() for each in sorted(Path(folder).rglob("*")) if each.is_file()}


def bundle(*arguments: str) -> int:
    return run(["bundle", *arguments])


def test_platforms_and_a_build_share_a_folder(capsys):
    assert run(["build", SPEC, "-o", "out", "--verify", "none"]) == 0
    built = files("out")
    assert bundle(SPEC, "--platform", "systemd", "-o", "out") == 0
    assert bundle(SPEC, "--platform", "compose", "-o", "out") == 0
    both = files("out")
    assert built.items() <= both.items()
    assert {name.split("/")[1] for name in both.keys() - built.keys()} == {
        "systemd",
        "compose",
        "platforms.json",
    }
    assert run(["build", SPEC, "-o", "out", "--verify", "none"]) == 0
    capsys.readouterr()
    assert bundle(SPEC, "--platform", "systemd", "-o", "out") == 0
    assert capsys.readouterr().out == "0 created, 0 updated, 0 removed, 16 unchanged\n"
    assert files("out") == both
    listed = json.loads(both["out/platforms.json"])["files"]
    assert {f"out/{each}" for each in listed} == both.keys() - built.keys() - {"out/platforms.json"}


def test_what_is_no_longer_wanted_goes():
    Path("mesh.yaml").write_text(Path(SPEC).read_text("utf-8"), "utf-8")
    assert bundle("--platform", "systemd") == 0
    assert Path("platforms/systemd/edge").is_dir()
    text = Path("mesh.yaml").read_text("utf-8").partition("gateways:")[0]
    Path("mesh.yaml").write_text(text, "utf-8")
    assert bundle("--platform", "systemd") == 0
    assert not Path("platforms/systemd/edge").exists()


def test_nothing_is_written_for_what_a_platform_cannot_run(capsys):
    assert bundle(SHOP, "--platform", "kubernetes") == 1
    said = capsys.readouterr()
    assert "error MSH7004 not-on-platform: catalog has 3 bundles" in said.err
    assert said.err.endswith("; nothing was made\n")
    assert said.out == ""
    assert files() == {}


def test_a_warning_is_told_and_stops_nothing(capsys):
    assert bundle(SPEC, "--platform", "kubernetes") == 0
    assert "warning MSH7005 address-on-platform: callers ask for web at 10.0.1.10" in capsys.readouterr().err
    assert Path("platforms/kubernetes/web/sidecar.yaml").is_file()


def test_a_change_of_the_configuration_changes_what_kustomize_looks_at():
    assert bundle(CLUSTER, "--platform", "kubernetes") == 0
    before = files()
    Path("mesh.yaml").write_text(
        Path(CLUSTER)
        .read_text("utf-8")
        .replace("ledger: {", "catalog: {timeout: 1s}, ledger: {")
        .replace("{catalog: {}, catalog", "{catalog"),
        "utf-8",
    )
    assert bundle("--platform", "kubernetes") == 0
    changed = {name for name, content in files("platforms").items() if before.get(name) != content}
    assert "platforms/kubernetes/web/files/lds.json" in changed
    assert not any(name.endswith((".yaml", "Containerfile")) for name in changed)


def test_no_key_and_no_place_of_the_build_gets_into_it():
    assert run(["certs", "init", CLUSTER, "--ca", "ca"]) == 0
    assert run(["build", CLUSTER, "-o", "platforms", "--ca", "ca", "--verify", "none"]) == 0
    for platform in Platform:
        assert bundle(CLUSTER, "--platform", platform) == 0
    listed = json.loads(Path("platforms/platforms.json").read_bytes())["files"]
    texts = [Path("platforms", each).read_text("utf-8") for each in listed]
    assert len(texts) > 50
    assert not any("PRIVATE KEY" in each or str(Path.cwd()) in each or str(ROOT) in each for each in texts)


@pytest.mark.parametrize("platform", Platform)
def test_the_same_spec_gives_the_same_bytes(platform):
    validated = pipeline.validate(CLUSTER)
    once, again = (pipeline.deploy(validated, platform, Options())[0] for _ in range(2))
    assert once == again


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--platform", "systemd", "--image", "x"], "--image means nothing with --platform systemd"),
        (["--platform", "compose", "--label", "x"], "--label means nothing with --platform compose"),
        (
            ["--platform", "kubernetes", "--bundles", "/x"],
            "--bundles means nothing with --platform kubernetes",
        ),
        (["--platform", "systemd", "--bundles", "build"], "'build' is not an absolute path"),
        (["--platform", "systemd", "--bundles", "/a b"], "is not an absolute path"),
        (["--platform", "systemd", "--bundles", "/a/../b"], "is not an absolute path"),
        (["--platform", "compose", "--bundles", "/$HOME"], "is not an absolute path"),
        (["--platform", "systemd", "--bundles", ""], "is not an absolute path"),
        (["--platform", "systemd", "--bundles", "/" + "a" * 600], "is not an absolute path"),
        (["--platform", "systemd", "--user", ""], "'' is not the name of a user"),
        (["--platform", "kubernetes", "--workload", "web"], "expected SERVICE=KIND"),
        (["--platform", "kubernetes", "--workload", "wep=DaemonSet"], "did you mean `web`?"),
        (["--platform", "kubernetes", "--workload", "web=Job"], "'Job' is not one of Deployment"),
        (["--platform", "kubernetes", "--namespace", "a b"], "is not the name of a namespace"),
    ],
)
def test_what_cannot_be_asked_for(arguments, said, capsys):
    assert bundle(CLUSTER, *arguments) == 2
    assert said in capsys.readouterr().err
    assert files() == {}


def test_a_faulty_spec_is_told_as_ever(capsys):
    Path("mesh.yaml").write_text("apiVersion: meshctl.dev/v1\nmesh: {}\n", "utf-8")
    assert bundle("--platform", "systemd") == 1
    assert capsys.readouterr().err.endswith("nothing was made\n")
    Path("mesh.yaml").write_text("a: [", "utf-8")
    assert bundle("--platform", "systemd") == 2
    assert files() == {"mesh.yaml": b"a: ["}
