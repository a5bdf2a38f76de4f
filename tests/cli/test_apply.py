"""`meshctl apply`: what it checks before, what it exchanges, and what it takes back. (Real proxies: tests/behaviour/test_apply.py.)"""

from __future__ import annotations

import json
import os
import pwd
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from meshctl.cli.app import run
from meshctl.inspection import inspect
from meshctl.live.reloading import running
from meshctl.manifest import BundleEntry, read
from meshctl.pipeline.installed import callees_first
from tests.cli import applied
from tests.turns import turn

HOST = Path("host")
SCHEMA = Draft202012Validator(
    json.loads((Path(__file__).parents[2] / "schemas/apply.schema.json").read_text("utf-8"))
)


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    """``host`` has the build ``old``, and ``new`` is built."""
    root = tmp_path_factory.mktemp("seeds")
    applied.certificates(root)
    applied.bundle(root, "old")
    applied.bundle(root, "new")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("ENVOY", str(root / "envoy"))
        assert (
            run([*["apply", "--bundle", "old", "--to", "host", "--service", "web", "--certs", "certs"]]) == 0
        )
    return root


@pytest.fixture
def host(seeds, tmp_path, monkeypatch):
    """The same for a test of its own, and a sidecar runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENVOY", str(seeds / "envoy"))
    monkeypatch.setattr("meshctl.pipeline.exchanging.ANSWER_LIMIT", timedelta(seconds=0.2))
    for each in ("identity.json", "old", "new", "host"):
        if (seeds / each).is_dir():
            shutil.copytree(seeds / each, each, symlinks=True)
        else:
            shutil.copy(seeds / each, each)
    with turn("apply"), applied.running(HOST):
        yield tmp_path


def apply(capsys, *arguments):
    """Exit code, and state and message of the bundle."""
    capsys.readouterr()
    code = run(["apply", "--to", "host", "--format", "json", *arguments])
    captured = capsys.readouterr()
    if not captured.out:
        return code, "", captured.err
    document = json.loads(captured.out)
    assert list(SCHEMA.iter_errors(document)) == []
    (entry,) = document["bundles"]
    return code, entry["state"], entry["message"]


def require(word: str):
    assert applied.served(HOST) == applied.build_id(word)
    seen = applied.files(HOST)
    assert seen["README"] == word
    assert seen["envoy/build"] == applied.build_id(word)
    assert [each for each in seen if "only-" in each] == [f"envoy/only-{word}"]
    releases = sorted(each.name for each in (HOST / "web/.releases").iterdir())
    assert len(releases) == 3, releases


def test_a_build_comes_in_and_is_told(host, capsys):
    assert apply(capsys, "--bundle", "new") == (0, "applied", "")
    require("new")
    assert apply(capsys, "--bundle", "new") == (0, "up-to-date", "")
    assert apply(capsys, "--bundle", "old", "--dry-run") == (0, "planned", "")
    require("new")
    assert read(HOST).bundles["web"].build == applied.build_id("new")


def test_drift_finds_what_was_edited_since(host, capsys):
    assert apply(capsys, "--bundle", "new")[0] == 0
    assert [*inspect(HOST, read(HOST))] == []
    (HOST / "web/README").unlink()
    (HOST / "web/README").write_text("mine")
    (HOST / "web/.releases/current/envoy/build").write_text("mine")
    found = [(each.slug, each.path) for each in inspect(HOST, read(HOST))]
    assert found == [("edited-file", "web/README"), ("edited-file", "web/envoy/build")]


def test_callees_come_before_their_callers():
    def entry(folder: str, *calls: str) -> BundleEntry:
        return BundleEntry(folder, "envoy", "", calls=calls)

    chain = [
        entry("a", "b"),
        entry("b/1", "c", "elsewhere"),
        entry("b/2", "c"),
        entry("c", "a"),
        entry("d", "b"),
    ]
    assert [each.folder for each in callees_first(chain)] == ["c", "b/1", "b/2", "a", "d"]
    long = [entry(f"s{number:05}", f"s{number + 1:05}") for number in range(5000)]
    assert [each.folder for each in callees_first(long)] == [each.folder for each in reversed(long)]


def _truncate(new: Path):
    (new / "web/envoy/build").write_text("")


def _edit(new: Path):
    with (new / "web/envoy/reload").open("a") as file:
        file.write("# mine\n")


def _remove(new: Path):
    (new / "web/README").unlink()


def _swell(new: Path):
    # Takes no room on the disk, and none in memory.
    os.truncate(new / "web/README", 1 << 43)


def _link(new: Path):
    (new / "web/README").unlink()
    (new / "web/README").symlink_to("/etc/hostname")


def _unlist(new: Path):
    _change(new, lambda manifest: manifest["files"].pop("web/envoy/run"))


def _version(new: Path):
    _change(new, lambda manifest: manifest["proxies"].update(envoy="1.22"))


def _change(new: Path, change):
    manifest = json.loads((new / "manifest.json").read_text())
    change(manifest)
    (new / "manifest.json").write_text(json.dumps(manifest))


BROKEN = (
    (_truncate, "envoy/build is not what was built"),
    (_edit, "envoy/reload is not what was built"),
    (_remove, "README is missing, or no file"),
    (_swell, "README: File too large"),
    (_link, "README is missing, or no file"),
    (_unlist, "envoy/run is not in the manifest"),
    (_version, "the files are for envoy 1.22, and here is Python"),
)


def test_a_broken_bundle_is_refused(host, capsys):
    for number, (spoil, words) in enumerate(BROKEN):
        spoil(Path(shutil.copytree("new", f"new-{number}", symlinks=True)))
        code, state, message = apply(capsys, "--bundle", f"new-{number}")
        assert (code, state) == (1, "refused"), words
        assert message.startswith("nothing was changed: ")
        assert words in message
        require("old")


def _remove_key(seeds, tls):
    (tls / "cert.pem.key").unlink()


def _other_key(seeds, tls):
    shutil.copy(seeds / "newer/web/tls/cert.pem.key", tls)


def _no_key(seeds, tls):
    (tls / "cert.pem.key").write_text("no key")


def _other_roots(seeds, tls):
    shutil.copy(tls / "cert.pem", tls / "ca.pem")


KEYS = (
    (_remove_key, "there is no tls/cert.pem.key"),
    (_other_key, "its key is not the one"),
    (_no_key, "is not a private key in PEM"),
    (_other_roots, "holds no root"),
)


def test_certificates_are_looked_at_first(host, seeds, capsys):
    tls = HOST / "web/tls"
    tls.rename("kept")
    for spoil, words in KEYS:
        shutil.copytree("kept", tls)
        spoil(seeds, tls)
        code, state, message = apply(capsys, "--bundle", "new")
        assert (code, state) == (1, "refused"), words
        assert words in message
        require("old")
        shutil.rmtree(tls)
    assert apply(capsys, "--bundle", "new", "--certs", "old")[1:] == (
        "refused",
        "nothing was changed: there is no old/web/tls/cert.pem.key",
    )


def test_certificates_that_no_memory_holds_are_not_read(host, seeds, capsys):
    shutil.copytree(seeds / "newer", "huge")
    os.truncate("huge/web/tls/ca.pem", 1 << 43)
    code, state, message = apply(capsys, "--bundle", "new", "--certs", "huge")
    assert (code, state, message) == (2, "failed", "huge/web/tls/ca.pem: File too large")
    require("old")


def test_what_the_proxy_refuses_is_not_put_there(host, capsys):
    applied.bundle(host, "new", "refused")
    expected = "nothing was changed: the proxy does not take it"
    assert apply(capsys, "--bundle", "new") == (1, "refused", expected)
    require("old")


@pytest.mark.parametrize("order", ["unserved", "other"])
def test_what_does_not_come_up_is_rolled_back(host, capsys, order):
    applied.bundle(host, "new", order)
    code, state, message = apply(capsys, "--bundle", "new")
    assert (code, state) == (1, "rolled-back")
    assert ("what ran goes on" if order == "unserved" else "does not answer for") in message
    require("old")


def test_what_only_a_start_can_bring_is_told_before(host, capsys):
    applied.bundle(host, "new", "fixed")
    code, state, message = apply(capsys, "--bundle", "new")
    assert (code, state) == (2, "failed")
    assert "--restart COMMAND" in message
    require("old")


def test_a_start_brings_it_where_it_may(host, capsys):
    applied.bundle(host, "new", "fixed")
    Path("restart").write_text(
        '#!/bin/sh\ncp "$MESHCTL_BUNDLE/$MESHCTL_PROXY/build" "$MESHCTL_BUNDLE/run/served"\n'
    )
    Path("restart").chmod(0o755)
    # `reload` brings it here, for these sidecars hold nothing that a start alone changes.
    assert apply(capsys, "--bundle", "new", "--restart", str(host / "restart"))[:2] == (0, "applied")
    require("new")


def test_files_that_were_copied_there_are_taken_over(host, capsys):
    """Somebody deployed by rsync before, and it runs."""
    tree = HOST / "web"
    for path in ("README", "identity.json", *(f"envoy/{each.name}" for each in (tree / "envoy").iterdir())):
        content, mode = (tree / path).read_bytes(), (tree / path).stat().st_mode
        (tree / path).unlink()
        (tree / path).write_bytes(content)
        (tree / path).chmod(mode)
    shutil.rmtree(tree / ".releases")
    applied.bundle(host, "new", "unserved")
    assert apply(capsys, "--bundle", "new")[:2] == (1, "rolled-back")
    require("old")
    applied.bundle(host, "newer")
    assert apply(capsys, "--bundle", "newer")[:2] == (0, "applied")
    require("newer")


def test_an_edited_file_does_not_stay_beside_new_ones(host, capsys):
    edited = HOST / "web/envoy/build"
    edited.unlink()
    edited.write_text("mine")
    assert apply(capsys, "--bundle", "new")[:2] == (0, "applied")
    require("new")


def test_certificates_come_along_and_go_back(host, seeds, capsys):
    key = HOST / "web/tls/cert.pem.key"
    old = key.read_bytes()
    applied.bundle(host, "bad", "unserved")
    assert apply(capsys, "--bundle", "bad", "--certs", str(seeds / "newer"))[:2] == (1, "rolled-back")
    assert key.read_bytes() == old
    require("old")
    assert apply(capsys, "--bundle", "new", "--certs", str(seeds / "newer"))[:2] == (0, "applied")
    assert key.read_bytes() == (seeds / "newer/web/tls/cert.pem.key").read_bytes()
    assert key.stat().st_mode & 0o777 == 0o600
    require("new")
    # Nobody else has a copy of it.
    assert [str(each) for each in HOST.rglob("cert.pem.key")] == [
        str(each) for each in HOST.rglob("*.key") if ".releases" not in each.parts
    ]


def test_a_target_of_another_mesh_is_not_touched(host, capsys):
    _change(Path("new"), lambda manifest: manifest.update(mesh="bank"))
    code, _, told = apply(capsys, "--bundle", "new")
    assert code == 2
    assert "host holds bundles of the mesh 'shop', and these are of 'bank'" in told
    require("old")


def test_nothing_is_chosen_for_a_host_that_has_nothing(host, capsys):
    code, _, told = apply(capsys, "--bundle", "new", "--to", "empty")
    assert code == 2
    assert "name those of this host with --service" in told
    assert not Path("empty").exists()
    assert apply(capsys, "--bundle", "new", "--service", "wep")[0] == 2


ANY_APPLY = (["--bundle", "new"], ["--bundle", "new", "--dry-run"], ["--recover"])


@pytest.mark.parametrize("arguments", ANY_APPLY)
def test_another_users_sidecar_is_neither_believed_nor_run(host, capsys, monkeypatch, arguments):
    """Its user could name any program as the sidecar's, and any file as the one that a reload locks: for root to run, and to empty."""
    owner = os.geteuid()
    monkeypatch.setattr("meshctl.pipeline.admitting.running", lambda *_: pytest.fail("was believed"))
    monkeypatch.setattr("os.geteuid", lambda: owner + 1)
    code, state, message = apply(capsys, *arguments)
    assert (code, state) == (2, "failed")
    assert f"host/web/run belongs to the user {pwd.getpwuid(owner).pw_name}; apply as that user" in message
    require("old")


@pytest.mark.parametrize("arguments", ANY_APPLY)
def test_a_pid_file_that_leads_elsewhere_is_not_believed(host, capsys, arguments):
    pid_file = HOST / "web/run/pid"
    pid_file.rename("elsewhere")
    pid_file.symlink_to(Path("elsewhere").absolute())
    code, state, message = apply(capsys, *arguments)
    assert (code, state) == (2, "failed")
    assert "host/web/run/pid is a symbolic link" in message
    require("old")


def test_another_users_process_is_not_the_sidecar(host, monkeypatch):
    folder = (HOST / "web/envoy").absolute()
    assert running(folder, "../run/pid") is not None
    owner = os.geteuid()
    monkeypatch.setattr("os.geteuid", lambda: owner + 1)
    assert running(folder, "../run/pid") is None


def test_a_link_in_the_way_is_refused(host, capsys):
    (HOST / "web").rename("elsewhere")
    (HOST / "web").symlink_to(Path("elsewhere").absolute())
    code, state, message = apply(capsys, "--bundle", "new")
    assert (code, state) == (2, "failed")
    assert "host/web is a symbolic link" in message
