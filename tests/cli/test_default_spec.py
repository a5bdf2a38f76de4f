"""The spec that is taken where none is named: a file alone, beside others that are meant as well."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from meshctl.cli.app import run

SHOP = Path(__file__).parents[2] / "examples" / "shop"
TOLD = "no services in this file alone, and there are in catalog.yaml, edge.yaml, orders.yaml"


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """The example in a repository, of which somebody changes a service."""
    folder = shutil.copytree(SHOP, tmp_path / "shop")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    identity = ("-c", "user.name=n", "-c", "user.email=n@example.com")
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "start"]):
        subprocess.run(["git", *identity, *command], check=True)
    edge = Path("edge.yaml")
    edge.write_text(
        edge.read_text("utf-8").replace("orders: {timeout: 4s}", "orders: {timeout: 2s}"), "utf-8"
    )
    return folder


@pytest.mark.parametrize(
    ("arguments", "code", "folder"),
    [
        (["validate"], 1, "."),
        (["validate", "HEAD:./mesh.yaml"], 1, "HEAD:."),
        (["validate", "HEAD:mesh.yaml"], 1, "HEAD:"),
        (["build"], 1, "."),
        (["diff"], 2, "."),
        (["diff", "HEAD", "HEAD"], 2, "HEAD:."),
    ],
)
def test_a_file_without_services_beside_files_with_some_is_refused(shop, arguments, code, folder, capsys):
    assert run(arguments) == code
    told = capsys.readouterr()
    assert TOLD in (told.out + told.err).replace("HEAD:./", "").replace("HEAD:", "")
    assert f"name the folder, `{folder}`, in its place" in told.out + told.err


def test_the_folder_it_names_is_the_whole_spec(shop, capsys):
    for arguments in (["validate", "."], ["validate", "HEAD:."], ["validate", "HEAD:"]):
        assert run(arguments) == 0
        assert "0 sidecars" not in capsys.readouterr().err
    assert run(["diff", "--spec", "."]) == 1


def test_a_file_without_services_that_stands_alone_is_a_spec(shop):
    for each in ("catalog.yaml", "edge.yaml", "orders.yaml"):
        Path(each).unlink()
    Path("compose.yaml").write_text("volumes: {}\n", "utf-8")
    assert run(["validate"]) == 0
