"""The fuzzers find what they are for: faults planted in meshctl, one for each promise."""

from __future__ import annotations

import json
import random
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import structs

from meshctl import inspection
from meshctl.diagnostics import Position
from meshctl.live import builds, releases
from meshctl.load import commits, text, worktree
from meshctl.pipeline import checking, fixing
from meshctl.pki import acceptance, parsing
from meshctl.targets.envoy import protobuf
from meshctl.targets.haproxy import quoting as haproxy
from meshctl.targets.nginx import quoting as nginx
from tests.fuzz import fuzzers, watching
from tests.fuzz.judging import validated
from tests.fuzz.watching import CostError, HangError, StrayError, watched

RUNS = 400


def found(name: str, folder: Path, runs: int = RUNS) -> BaseException | None:
    """The first fault that a fuzzer comes upon."""
    draw = random.Random(7)
    for _ in range(runs):
        try:
            fuzzers.once(name, draw.randbytes(120), folder)
        except Exception as error:  # noqa: BLE001 - of any kind
            return error
    return None


def test_a_text_that_ends_its_word_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(haproxy, "word", lambda text: haproxy.Token(f"'{text}'"))
    assert found("quoting", tmp_path) is not None


@pytest.mark.parametrize(
    ("module", "name", "broken"),
    [
        (nginx, "_without_variables", lambda text: text),
        (nginx, "_quoted", lambda text: nginx.Token(f'"{text}"')),
        (nginx, "literal_regex", lambda text: text),
        (haproxy, "_argument", lambda text: f'"{text}"'),
        (haproxy, "literal_format", haproxy.word),
        (protobuf, "format_literal", lambda text: text),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_level_of_quoting_that_is_missing_is_found(tmp_path, monkeypatch, module, name, broken):
    monkeypatch.setattr(module, name, broken)
    assert found("quoting", tmp_path) is not None


def test_a_text_that_changes_the_file_around_it_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(nginx, "lua_text", lambda text: nginx.Token(f'"{text}"'))
    assert isinstance(found("injected", tmp_path), (AssertionError, ValueError))


def test_a_file_outside_of_the_folder_is_seen(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/mine").write_bytes(b"x")
    (tmp_path / "other").write_bytes(b"x")
    with watched(tmp_path / "in", tmp_path / "in"):
        (tmp_path / "in/new").write_bytes((tmp_path / "in/mine").read_bytes())
    for stray in (
        (tmp_path / "other").read_bytes,
        (tmp_path / "in/../other").read_bytes,
        lambda: (tmp_path / "new").write_bytes(b""),
        lambda: (tmp_path / "in/mine").rename(tmp_path / "mine"),
        lambda: list(tmp_path.iterdir()),
        lambda: subprocess.run(["true"], check=True),
    ):
        with pytest.raises(StrayError), watched(tmp_path / "in", tmp_path / "in"):
            stray()


def test_a_long_run_is_seen(tmp_path):
    with pytest.raises(CostError), watched(tmp_path, share=0.01):
        sum(range(3_000_000))


def test_a_link_that_leads_out_is_found(tmp_path, monkeypatch):
    """A reader that follows links reads what they lead to; with the reader as it is the file is left out."""
    (tmp_path / "spec").mkdir()
    (tmp_path / "secret.yaml").write_text("mesh: {}", "utf-8")
    (tmp_path / "spec/mesh.yaml").symlink_to(tmp_path / "secret.yaml")
    assert validated(tmp_path / "spec") is not None
    monkeypatch.setattr(worktree._Folder, "_inside", lambda folder, path: f"{tmp_path}/secret.yaml")
    with pytest.raises(StrayError):
        validated(tmp_path / "spec")


def test_a_traceback_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(parsing, "has_key", lambda *_: 1 // 0)
    assert isinstance(found("pki", tmp_path), ZeroDivisionError)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("module", "name", "broken", "fuzzer"),
    [
        (acceptance, "_names", lambda *_: (), "enrolment"),
        (acceptance, "_chain", lambda leaf, others, roots, _: (leaf, *others, roots[0]), "enrolment"),
        (fixing, "_fault", lambda *_, **__: "", "fix"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_proof_that_is_left_out_is_found(tmp_path, monkeypatch, module, name, broken, fuzzer):
    """A certificate for other names or from elsewhere is put in force, a fix that mends nothing is made."""
    monkeypatch.setattr(module, name, broken)
    assert isinstance(found(fuzzer, tmp_path), AssertionError)


@pytest.mark.parametrize(
    ("module", "name", "broken", "fuzzer"),
    [
        pytest.param(releases, "require_own", lambda *_: None, "apply", marks=pytest.mark.soak),
        (releases, "_mode", lambda _: 0o644, "apply"),
        pytest.param(releases.Place, "take_back", releases.Place.tidy, "apply", marks=pytest.mark.soak),
        (inspection._Look, "_file", lambda *_: None, "drift"),
        (builds, "_read", json.loads, "drift"),
        (commits, "_time", lambda seconds: datetime.fromtimestamp(int(seconds), UTC), "history"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_host_that_is_left_with_neither_build_is_found(tmp_path, monkeypatch, module, name, broken, fuzzer):
    """Written through a link, a key for everybody, a build that stays half; an edited file that nobody tells of."""
    monkeypatch.setattr(module, name, broken)
    assert found(fuzzer, tmp_path) is not None


def test_a_command_that_waits_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(watching, "WAITING", 0.1)
    monkeypatch.setattr(watching, "_LOOKED", 0.2)
    with pytest.raises(HangError), watched(tmp_path):
        time.sleep(5)


def test_a_finding_at_a_place_that_is_none_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "_end_of", lambda before, file: Position(file, before.count("\n") + 1, 9999))
    assert isinstance(found("bytes", tmp_path), AssertionError)


def test_an_order_that_counts_is_found(tmp_path, monkeypatch):
    """As if something of the service that is written first stood in all bundles."""
    check = checking.check

    def first_counts(loaded, **options):
        found = check(loaded, **options)
        if found.mesh is None or found.spec is None:
            return found
        first = next(iter(found.spec.written.services or ()), "")
        sidecars = tuple(structs.replace(each, build=each.build + first) for each in found.mesh.sidecars)
        return structs.replace(found, mesh=structs.replace(found.mesh, sidecars=sidecars))

    monkeypatch.setattr(checking, "check", first_counts)
    assert isinstance(found("meaning", tmp_path), AssertionError)
