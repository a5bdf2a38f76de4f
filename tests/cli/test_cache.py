"""With the cache, without it, and with one that is not sound: the same bytes, the same words, the same exit code."""

from __future__ import annotations

import contextvars
import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from meshctl.cache import answers, program
from meshctl.cli.app import run

ROOT = Path(__file__).resolve().parents[2]
MESH = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services:
  web: {port: 80, endpoints: [{address: 10.78.1.1}], calls: {stock: {}}, proxy: envoy}
"""
STOCK = """\
services:
  stock: {port: 80, endpoints: [{address: 10.78.1.2}], proxy: haproxy}
  books: {port: 80, endpoints: [{address: 10.78.1.3}], proxy: nginx}
"""
BUILD = ["build", "mesh", "--verify", "none"]
VALIDATE = ["validate", "mesh"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MESHCTL_NO_CACHE", raising=False)
    (tmp_path / "mesh").mkdir()
    (tmp_path / "mesh" / "mesh.yaml").write_text(MESH)
    (tmp_path / "mesh" / "stock.yaml").write_text(STOCK)
    make_old(tmp_path / "mesh")
    return tmp_path


def make_old(folder):
    """As if nobody had written there just now: what changed within 20 ms is not relied on."""
    os.utime(folder)
    settle()


def settle():
    from meshctl.cache.marks import wait_for_a_step

    wait_for_a_step()


def ask(arguments):
    """Whether the answer was known, and the exit code."""

    def one():
        found = answers.recall(arguments)
        return (True, found.tell()) if found is not None else (False, run(arguments))

    return contextvars.copy_context().run(one)


def tree(folder):
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def stamps(folder):
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob("*")}


@pytest.mark.parametrize("arguments", [BUILD, [*BUILD, "--format", "json"], VALIDATE], ids=" ".join)
def test_a_second_run_says_the_same_and_touches_nothing(here, capfd, arguments):
    assert ask([*BUILD, "--no-cache"]) == (False, 0)
    capfd.readouterr()
    before = stamps(here / "build")
    assert ask([*arguments, "--no-cache"]) == (False, 0)
    uncached = capfd.readouterr()
    assert ask(arguments) == (False, 0)
    assert capfd.readouterr() == uncached
    assert ask(arguments) == (True, 0)
    assert capfd.readouterr() == uncached
    assert stamps(here / "build") == before


def test_findings_and_their_exit_code_are_kept(here, capfd):
    Path("mesh/mesh.yaml").write_text(MESH.replace("{stock: {}}", "{stok: {}}"))
    settle()
    first = ask(VALIDATE), capfd.readouterr()
    second = ask(VALIDATE), capfd.readouterr()
    assert (first[0], second[0]) == ((False, 1), (True, 1))
    assert first[1] == second[1]
    assert "stok" in first[1].out


@pytest.mark.parametrize("was", ["nothing", "a file"])
def test_what_a_link_in_the_spec_leads_to_may_be_a_folder_next(here, was):
    docs = Path("docs")
    if was == "a file":
        docs.write_text("text")
    Path("mesh/docs").symlink_to("../docs")
    settle()
    assert ask(VALIDATE) == (False, 0)
    docs.unlink(missing_ok=True)
    docs.mkdir()
    assert ask(VALIDATE) == (False, 2)


def test_a_link_to_a_folder_beside_a_lone_file_may_lead_to_a_file_next(here, capfd):
    text = MESH.replace("{stock: {}}", "{stok: {}}")
    Path("lone").mkdir()
    Path("lone/mesh.yaml").write_text(text)
    Path("d").mkdir()
    Path("lone/more.yaml").symlink_to("../d")
    settle()
    asked = ["validate", "lone/mesh.yaml"]
    ask(asked)
    Path("d").rmdir()
    Path("d").write_text(STOCK)
    capfd.readouterr()
    ask(asked)
    cached = capfd.readouterr()
    ask([*asked, "--no-cache"])
    assert capfd.readouterr() == cached


def test_environments_behind_a_link_are_refused_also_where_their_folder_kept_its_mark(here, monkeypatch):
    """Not every file system dates a folder that was moved."""
    from meshctl.cache import premises

    (here / "mesh/environments").mkdir()
    (here / "mesh/environments/test.yaml").write_text("mesh: {trustDomain: test.shop.example}")
    asked = ["validate", "mesh/mesh.yaml", "--env", "test"]
    monkeypatch.setattr(premises, "mark", lambda status: str(status.st_ino))
    settle()
    assert [ask(asked)[0], ask(asked)[0]] == [False, True]
    link_away("mesh/environments")
    assert ask(asked) == (False, 2)


def test_nothing_is_answered_where_the_shell_asks_for_completions(here, monkeypatch):
    from meshctl import __main__

    monkeypatch.setenv("_MESHCTL_COMPLETE", "complete_bash")
    monkeypatch.setattr(sys, "argv", ["meshctl", *VALIDATE])
    monkeypatch.setattr(answers, "recall", lambda arguments: pytest.fail("was asked"))
    monkeypatch.setattr("meshctl.cli.app.run", lambda arguments: 0)
    monkeypatch.setattr(__main__, "gc", Mock())
    with pytest.raises(SystemExit):
        __main__.main()


def test_what_is_verified_is_the_same(here, capfd, monkeypatch):
    """A bundle whose identity alone is another is shown to its proxy, too."""
    for each in ("ENVOY", "HAPROXY", "NGINX"):
        monkeypatch.setenv(each, "/bin/true")
    asked = ["build", "mesh"]
    assert ask(asked) == (False, 0)
    shutil.copytree("build", "other")
    CHANGES["the lifetime of certificates"]()
    capfd.readouterr()
    assert ask(asked) == (False, 0)
    cached = capfd.readouterr().out
    assert ask([*asked, "--out", "other", "--no-cache"]) == (False, 0)
    assert capfd.readouterr().out.replace("other/", "build/") == cached
    assert "verified" in cached


def edit(path, old, new):
    Path(path).write_text(Path(path).read_text().replace(old, new))


def damage(path):
    """Other content of the same size and the same time: only the time of the change, which nobody can set, tells."""
    before = Path(path).stat()
    with Path(path).open("r+b") as file:
        file.write(b"#")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def move_behind_a_link(path):
    Path(path).rename(f"{path}.moved")
    Path(path).symlink_to(f"{Path(path).name}.moved")


def link_away(path):
    """All that is below keeps its marks."""
    Path("away").mkdir()
    there = Path("away").resolve() / Path(path).name
    Path(path).rename(there)
    Path(path).symlink_to(there)


CHANGES = {
    "a file of the spec": lambda: edit("mesh/stock.yaml", "10.78.1.2", "10.78.1.9"),
    "the same size": lambda: edit("mesh/mesh.yaml", "port: 80", "port: 81"),
    "another file": lambda: Path("mesh/more.yaml").write_text(
        "services: {more: {port: 80, endpoints: [{address: 10.78.1.7}]}}"
    ),
    "a file less": lambda: Path("mesh/stock.yaml").rename("stock.yaml"),
    "a file renamed": lambda: Path("mesh/stock.yaml").rename("mesh/a.yaml"),
    "a link in place of a file": lambda: move_behind_a_link("mesh/stock.yaml"),
    "an output edited": lambda: damage("build/web/README"),
    "an output gone": lambda: Path("build/books/README").unlink(),
    "an identity edited": lambda: damage("build/web/identity.json"),
    "an output's mode": lambda: Path("build/web/envoy/run").chmod(0o644),
    "all outputs gone": lambda: shutil.rmtree("build"),
    "the manifest gone": lambda: Path("build/manifest.json").unlink(),
    "a link in place of a bundle's folder": lambda: link_away("build/web"),
    "a link in place of a folder in a bundle": lambda: link_away("build/web/envoy"),
    "the lifetime of certificates": lambda: edit(
        "mesh/mesh.yaml", "mesh: {", "mesh: {certificates: {lifetime: 3d, renewBefore: 1d}, "
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_after_a_change_the_outputs_are_those_of_a_build_without_a_cache(here, change):
    assert ask(BUILD) == (False, 0)
    assert ask(BUILD) == (True, 0)
    change()
    known, code = ask(BUILD)
    assert not known
    if code == 0:
        cached = tree(here / "build")
        shutil.rmtree(here / "build")
        assert ask([*BUILD, "--no-cache"]) == (False, 0)
        assert tree(here / "build") == cached
    else:
        assert ask([*BUILD, "--no-cache"]) == (False, code)


def go_elsewhere(patch):
    Path("elsewhere").mkdir()
    Path("elsewhere/mesh").symlink_to("../mesh")
    patch.chdir("elsewhere")


@pytest.mark.parametrize(
    "surroundings",
    [
        lambda patch: patch.setattr(answers, "today", lambda: "2031-01-01"),
        lambda patch: patch.setattr(program, "identity", lambda: "another meshctl"),
        lambda patch: patch.setenv("NO_COLOR", "1"),
        lambda patch: patch.setenv("MESHCTL_NO_CACHE", "1"),
        go_elsewhere,
        lambda patch: Path("cache/meshctl").chmod(0o755),
    ],
    ids=[
        "another day",
        "another version",
        "without colours",
        "switched off",
        "another folder",
        "open to others",
    ],
)
def test_elsewhere_and_later_the_answer_is_looked_for_again(here, monkeypatch, surroundings):
    assert ask(VALIDATE) == (False, 0)
    assert ask(VALIDATE) == (True, 0)
    surroundings(monkeypatch)
    assert ask(VALIDATE) == (False, 0)


def test_a_ca_beside_the_spec_is_not_overlooked(here):
    asked = ["build", "mesh/stock.yaml", "--verify", "none"]
    edit("mesh/stock.yaml", "services:", f"{MESH.partition('services:')[0]}services:")
    assert [ask(asked), ask(asked)] == [(False, 0), (True, 0)]
    assert ask(["certs", "init", "mesh/stock.yaml", "--ca", "mesh/.meshctl/ca"]) == (False, 0)
    assert ask(asked) == (False, 0)
    assert (here / "build/stock/tls/cert.pem").exists()


def test_a_link_that_leads_elsewhere_now_is_followed(here):
    shutil.copytree("mesh", "other")
    edit("other/mesh.yaml", "web:", "shelf:")
    Path("current").symlink_to("mesh")
    make_old(here / "other")
    asked = ["build", "current", "--verify", "none"]
    assert [ask(asked), ask(asked)] == [(False, 0), (True, 0)]
    Path("current").unlink()
    Path("current").symlink_to("other")
    assert ask(asked) == (False, 0)
    assert (here / "build/shelf").exists()


def test_an_environment_is_part_of_the_question(here):
    (here / "mesh/environments").mkdir()
    (here / "mesh/environments/test.yaml").write_text("mesh: {trustDomain: test.shop.example}")
    make_old(here / "mesh/environments")
    asked = [*BUILD, "--env", "test"]
    assert [ask(asked), ask(asked)] == [(False, 0), (True, 0)]
    edit("mesh/environments/test.yaml", "test.shop", "next.shop")
    assert ask(asked) == (False, 0)
    assert "next.shop.example" in Path("build/identities.json").read_text()
    assert ask(BUILD) == (False, 0)
    assert "next.shop.example" not in Path("build/identities.json").read_text()


def test_only_what_a_change_concerns_is_made_again(here, monkeypatch):
    from meshctl.targets import bundle

    assert ask(BUILD) == (False, 0)
    before, made = stamps(here / "build"), []
    real = bundle.bundle

    def noted(sidecar):
        made.append(sidecar.service)
        return real(sidecar)

    monkeypatch.setattr(bundle, "bundle", noted)
    edit("mesh/stock.yaml", "10.78.1.2}]", "10.78.1.2}, {address: 10.78.1.4}]")
    assert ask(BUILD) == (False, 0)
    assert made == ["web"]
    after = stamps(here / "build")
    others = [path for path in before if path.is_file() and {"books", "stock"} & set(path.parts)]
    assert others
    assert [path for path in others if after[path] != before[path]] == []


@pytest.mark.parametrize("part", [0, 1])
def test_a_damaged_entry_is_a_slower_run(here, capfd, part):
    assert ask(BUILD) == (False, 0)
    wanted = tree(here / "build")
    path = sorted((here / "cache/meshctl").iterdir())[part]
    content = path.read_bytes()
    for damaged in (content[:-1], b"", content[:100] + bytes([content[100] ^ 4]) + content[101:]):
        path.write_bytes(damaged)
        assert ask(BUILD) == (False, 0)
        assert tree(here / "build") == wanted
        assert ask(BUILD) == (True, 0)


def test_runs_at_once_and_any_hash_seed_write_the_same(here):
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(here / "cache")}

    def start(seed):
        command = [sys.executable, "-X", "importtime", "-m", "meshctl", *BUILD]
        return subprocess.Popen(
            command,
            env={**env, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    running = [start("1"), start("2")]
    assert [each.communicate() and each.returncode for each in running] == [0, 0]
    at_once = tree(here / "build")
    third = start("3")
    _, imported = third.communicate()
    assert third.returncode == 0
    if "meshctl.cli.app" in imported:
        # The two came in each other's way, so that neither kept what it knew.
        third = start("3")
        _, imported = third.communicate()
    assert "meshctl.cli.app" not in imported
    assert "msgspec" not in imported
    shutil.rmtree(here / "build")
    assert ask([*BUILD, "--no-cache"]) == (False, 0)
    assert tree(here / "build") == at_once
