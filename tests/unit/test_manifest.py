"""What is read from a folder that anybody may have written."""

from __future__ import annotations

import json
import os
from copy import deepcopy
from pathlib import Path

import pytest

from meshctl import manifest
from meshctl.diagnostics import UsageError
from meshctl.manifest import MANIFEST, BundleEntry, File, ManifestError, address_and_port

DIGEST = "sha256:" + "a" * 64
SOUND = {
    "schemaVersion": 1,
    "meshctl": "0.1.0",
    "mesh": "shop",
    "environment": "prod",
    "spec": DIGEST,
    "waivers": ["no-retries: because"],
    "proxies": {"envoy": "1.40.0"},
    "builds": {
        "web/127.0.0.1": {"proxy": "envoy", "build": DIGEST, "admin": "127.0.0.1:15000"},
        "stock": {"proxy": "envoy", "build": DIGEST},
    },
    "files": {
        "web/127.0.0.1/envoy/run": {"sha256": "b" * 64, "executable": True},
        "stock/README": {"sha256": "c" * 64},
        "identities.json": {"sha256": "d" * 64},
    },
}


def written(folder: Path, document: object) -> Path:
    (folder / MANIFEST).write_text(json.dumps(document), "utf-8")
    return folder


def changed(pointer: str, value: object) -> dict:
    """``SOUND`` with another value at ``pointer``, whose steps end at `>`."""
    document: dict = deepcopy(SOUND)
    *steps, last = pointer.split(">")
    inside = document
    for each in steps:
        inside = inside[each]
    inside[last] = value
    return document


def test_a_manifest_in_full(tmp_path):
    read = manifest.read(written(tmp_path, SOUND))
    assert (read.mesh, read.meshctl, read.environment, read.spec) == ("shop", "0.1.0", "prod", DIGEST)
    assert read.waivers == ("no-retries: because",)
    assert read.proxies == {"envoy": "1.40.0"}
    assert read.bundles == {
        "web/127.0.0.1": BundleEntry("web/127.0.0.1", "envoy", DIGEST, "127.0.0.1:15000"),
        "stock": BundleEntry("stock", "envoy", DIGEST),
    }
    assert read.files["identities.json"] == File("d" * 64)
    assert read.files_of("web/127.0.0.1") == {"envoy/run": File("b" * 64, executable=True)}


@pytest.mark.parametrize(
    ("pointer", "value", "words"),
    [
        ("schemaVersion", 2, "another version"),
        ("mesh", None, "/mesh is not text"),
        ("meshctl", 1, "/meshctl is not text"),
        ("environment", ["x"], "/environment is not text"),
        ("spec", "sha256:x", "/spec is not sha256"),
        ("waivers", "x", "/waivers is missing, or of another kind"),
        ("waivers", ["x", 1], "/waivers/1 is not text"),
        ("proxies", [], "/proxies is missing, or of another kind"),
        ("proxies>envoy", {}, "/proxies/envoy is not text"),
        ("builds", None, "/builds is missing, or of another kind"),
        ("builds>stock", 3, "/builds/stock is not an object"),
        ("builds>stock", {}, "/builds/stock/proxy is not text"),
        ("builds>stock>proxy", "apache", "/builds/stock/proxy is none of /proxies"),
        ("builds>stock>build", "", "/builds/stock/build is not sha256"),
        ("builds>stock>admin", "localhost:80", "/builds/stock/admin is not an address and a port"),
        ("builds>stock>calls", "web", "/builds/stock/calls is missing, or of another kind"),
        ("builds>stock>calls", ["web", 1], "/builds/stock/calls/1 is not text"),
        ("builds>../out", {}, "/builds/../out leads outside the folder"),
        ("builds>a/b/c", {}, "/builds/a/b/c is not a service, or"),
        ("files", [], "/files is missing, or of another kind"),
        ("files>stock/README", None, "/files/stock/README is not an object"),
        ("files>stock/README", {"sha256": "A" * 64}, "/files/stock/README/sha256 is not a digest"),
        ("files>stock/README>executable", 1, "/files/stock/README/executable is not true or false"),
        ("files>/etc/passwd", {}, "/files//etc/passwd leads outside the folder"),
        ("files>web/../../x", {}, "leads outside the folder"),
        ("files>a\nb", {}, "is not a path"),
        ("files>" + "x" * 256, {}, "… is not a path"),
        ("files>stock/tls/cert.pem.key", {"sha256": "e" * 64}, "never lists"),
        ("files>web/127.0.0.1/run/pid", {"sha256": "e" * 64}, "never lists"),
        ("files>web/127.0.0.1/.releases/current", {"sha256": "e" * 64}, "never lists"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, pointer, value, words):
    with pytest.raises(ManifestError) as raised:
        manifest.read(written(tmp_path, changed(pointer, value)))
    assert str(raised.value).startswith(f"{tmp_path / MANIFEST} ")
    assert words in str(raised.value)


def test_what_keeps_a_folder_of_state_in_git_is_listed(tmp_path):
    found = changed("files>stock/run/.gitignore", {"sha256": "e" * 64})
    assert "run/.gitignore" in manifest.read(written(tmp_path, found)).files_of("stock")


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", "3", "1e999", "[" * 5000, '"\\ud800"', "\x00", '{"a": 1}']
)
def test_what_is_no_manifest_at_all(tmp_path, text):
    (tmp_path / MANIFEST).write_text(text, "utf-8")
    with pytest.raises(ManifestError, match="is not a manifest of meshctl's"):
        manifest.read(tmp_path)


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / MANIFEST).write_bytes(b'{"mesh": "\xff"}')
    with pytest.raises(ManifestError):
        manifest.read(tmp_path)


def test_a_folder_without_one(tmp_path):
    with pytest.raises(UsageError, match=r"holds no manifest\.json"):
        manifest.read(tmp_path)


def test_a_pipe_does_not_hang_and_a_huge_file_is_not_read(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / MANIFEST)
    with pytest.raises(ManifestError, match="not a file"):
        manifest.read(tmp_path)
    (tmp_path / MANIFEST).unlink()
    (tmp_path / MANIFEST).mkdir()
    with pytest.raises(ManifestError, match="not a file"):
        manifest.read(tmp_path)
    (tmp_path / MANIFEST).rmdir()
    with (tmp_path / MANIFEST).open("wb") as file:
        file.truncate(manifest.BYTES + 1)
    monkeypatch.setattr("orjson.loads", None)
    with pytest.raises(ManifestError, match="larger than 64 MiB"):
        manifest.read(tmp_path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.1:15000", ("127.0.0.1", 15000)),
        ("[::1]:80", ("::1", 80)),
        *(
            (each, None)
            for each in ("", ":1", "::1:80", "[127.0.0.1]:80", "127.0.0.1:0", "127.0.0.1:65536", "[::1:80")
        ),
        ("1.2.3.4:\u0661", None),
        ("[fe80::1%0]:1", None),
    ],
)
def test_addresses(text, found):
    assert address_and_port(text) == found


def test_what_it_says_of_a_path_can_be_shown(tmp_path):
    files = {"a\0b\x1b[2J\u202e": {"sha256": "b" * 64}}
    with pytest.raises(ManifestError, match=r"/files/a\\x00b\\x1b\[2J\\u202e is not a path") as caught:
        manifest.read(written(tmp_path, {**SOUND, "files": files}))
    assert str(caught.value).isprintable()
