"""What is found wrong in a folder, beside its manifest; every case is one change of a sound folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from meshctl import manifest
from meshctl.artifacts import Artifact, Plan
from meshctl.inspection import Content, Deviation, beginning, content, inspect

WEB, STOCK = "web/10.0.0.1", "stock"
FILES = {
    f"{WEB}/envoy/run": True,
    f"{WEB}/envoy/lds.json": False,
    f"{WEB}/envoy/sds/trust.json": False,
    f"{WEB}/README": False,
    f"{STOCK}/nginx/nginx.conf": False,
    f"{STOCK}/run/.gitignore": False,
    "identities.json": False,
}
BUILD = "sha256:" + "a" * 64


@pytest.fixture
def root(tmp_path):
    """As it was deployed, and running."""
    out = tmp_path / "out"
    artifacts = [Artifact(path, path.encode(), executable) for path, executable in FILES.items()]
    said = {
        "meshctl": "0.1.0",
        "mesh": "shop",
        "spec": BUILD,
        "waivers": [],
        "proxies": {"envoy": "1", "nginx": "1"},
        "builds": {WEB: {"proxy": "envoy", "build": BUILD}, STOCK: {"proxy": "nginx", "build": BUILD}},
    }
    Plan(out, artifacts).apply(said)
    for bundle in (WEB, STOCK):
        (out / bundle / "tls").mkdir()
        (out / bundle / "tls" / "cert.pem").touch()
        (out / bundle / "tls" / "cert.pem.key").touch(0o600)
        (out / bundle / "run" / "xds").mkdir(parents=True)
        (out / bundle / "run" / "pid").touch()
    (out / ".meshctl").mkdir()
    return out


def found(root: Path, *only: str, claimed=()) -> list[tuple[str, str, str]]:
    return [(each.slug, each.bundle, each.path) for each in inspect(root, manifest.read(root), only, claimed)]


def edit(root: Path) -> None:
    (root / WEB / "envoy/lds.json").write_text("{}")


def grow(root: Path) -> None:
    os.truncate(root / "identities.json", 65 << 20)


def remove(root: Path) -> None:
    (root / WEB / "envoy/sds/trust.json").unlink()
    (root / WEB / "envoy/sds").rmdir()


def add(root: Path) -> None:
    (root / WEB / "envoy/.lds.json.swp").touch()


def add_folder(root: Path) -> None:
    (root / "payments/envoy").mkdir(parents=True)
    (root / "payments/envoy/run").touch()


def add_beside(root: Path) -> None:
    (root / "web/notes").touch()


def link_file(root: Path) -> None:
    (root / WEB / "envoy/lds.json").rename(root / "lds.json")
    (root / WEB / "envoy/lds.json").symlink_to(root / "lds.json")
    (root / "lds.json").rename(root.parent / "lds.json")


def pipe(root: Path) -> None:
    (root / WEB / "README").unlink()
    os.mkfifo(root / WEB / "README")


def folder_for_file(root: Path) -> None:
    (root / WEB / "README").unlink()
    (root / WEB / "README").mkdir()


def link_folder(root: Path) -> None:
    (root / "web").rename(root.parent / "web")
    (root / "web").symlink_to(root.parent / "web")


def file_for_folder(root: Path) -> None:
    remove(root)
    (root / WEB / "envoy/sds").touch()


def open_key(root: Path) -> None:
    (root / WEB / "tls/cert.pem.key").chmod(0o640)


def open_key_behind_a_link(root: Path) -> None:
    key = root / WEB / "tls/cert.pem.key"
    key.unlink()
    (root.parent / "key").touch(0o644)
    key.symlink_to(root.parent / "key")


def open_file(root: Path) -> None:
    (root / WEB / "README").chmod(0o666)


def open_folder(root: Path) -> None:
    (root / WEB).chmod(0o777)


def lose_execution(root: Path) -> None:
    (root / WEB / "envoy/run").chmod(0o644)


def remove_bundle(root: Path) -> None:
    for path in (*FILES,):
        if path.startswith(WEB):
            (root / path).unlink()


def remove_service(root: Path) -> None:
    (root / "web").rename(root.parent / "gone")


CASES = [
    (edit, "edited-file", WEB, f"{WEB}/envoy/lds.json"),
    (grow, "edited-file", "", "identities.json"),
    (remove, "missing-file", WEB, f"{WEB}/envoy/sds/trust.json"),
    (add, "extra-file", WEB, f"{WEB}/envoy/.lds.json.swp"),
    (add_folder, "extra-file", "", "payments"),
    (add_beside, "extra-file", "", "web/notes"),
    (link_file, "replaced-file", WEB, f"{WEB}/envoy/lds.json"),
    (pipe, "replaced-file", WEB, f"{WEB}/README"),
    (folder_for_file, "replaced-file", WEB, f"{WEB}/README"),
    (link_folder, "replaced-file", "", "web"),
    (file_for_folder, "replaced-file", WEB, f"{WEB}/envoy/sds"),
    (open_key, "wrong-mode", WEB, f"{WEB}/tls/cert.pem.key"),
    (open_key_behind_a_link, "wrong-mode", WEB, f"{WEB}/tls/cert.pem.key"),
    (open_file, "wrong-mode", WEB, f"{WEB}/README"),
    (open_folder, "wrong-mode", WEB, WEB),
    (lose_execution, "wrong-mode", WEB, f"{WEB}/envoy/run"),
    (remove_bundle, "missing-bundle", WEB, ""),
    (remove_service, "missing-bundle", WEB, ""),
]


def test_nothing_is_found_where_nothing_was_changed(root):
    assert found(root) == found(root, WEB) == found(root, WEB, STOCK) == []


@pytest.mark.parametrize(
    ("change", "slug", "bundle", "path"), CASES, ids=[each[0].__name__ for each in CASES]
)
def test_a_change_is_found_and_nothing_else(root, change, slug, bundle, path):
    change(root)
    assert found(root) == [(slug, bundle, path)]
    assert found(root, STOCK) == []
    of_web = [] if (slug == "extra-file" and not bundle) or path == "identities.json" else found(root)
    assert found(root, WEB) == of_web


def test_certificates_state_and_what_others_claim_are_left_alone(root):
    (root / WEB / "tls/cert.pem").write_text("renewed")
    (root / WEB / "tls/crl.pem").touch(0o644)
    (root / WEB / "run/pid").write_text("1")
    (root / STOCK / "run/stdout").touch()
    (root / ".git").mkdir()
    (root / "nftables").mkdir()
    (root / "nftables/web.nft").touch()
    (root / "segmentation.json").touch()
    assert found(root, claimed={"nftables/web.nft", "segmentation.json"}) == []
    assert found(root) == [("extra-file", "", "nftables"), ("extra-file", "", "segmentation.json")]


def apply(root: Path) -> Path:
    """As `meshctl apply` puts a bundle live; the folder of the release."""
    releases = root / WEB / ".releases"
    for path in FILES:
        if path.startswith(WEB):
            its = path.removeprefix(f"{WEB}/")
            (releases / "one" / its).parent.mkdir(parents=True, exist_ok=True)
            (root / path).rename(releases / "one" / its)
            (root / path).symlink_to("../" * its.count("/") + f".releases/current/{its}")
    (releases / "current").symlink_to("one")
    (releases / "good").symlink_to("one")
    return releases / "one"


def test_a_release_that_was_applied_is_looked_into(root):
    release = apply(root)
    assert found(root) == found(root, WEB) == []
    (release / "envoy/lds.json").write_text("{}")
    (release / "envoy/run").chmod(0o644)
    assert found(root) == [
        ("edited-file", WEB, f"{WEB}/envoy/lds.json"),
        ("wrong-mode", WEB, f"{WEB}/envoy/run"),
    ]


@pytest.mark.parametrize("lead", ["release", "folder", "file", "nowhere"])
def test_links_of_a_release_lead_out_of_it_for_nobody(root, lead):
    release = apply(root)
    aside = root.parent / "aside"
    match lead:
        case "release":
            release.rename(aside)
            (release.parent / "current").unlink()
            (release.parent / "current").symlink_to(aside)
        case "folder":
            (release / "envoy").rename(aside)
            (release / "envoy").symlink_to(aside)
        case "file":
            (release / "envoy/lds.json").rename(aside)
            (release / "envoy/lds.json").symlink_to(aside)
        case _:
            (release.parent / "current").unlink()
    assert ("replaced-file", WEB, f"{WEB}/envoy/lds.json") in found(root)


def test_no_other_manifest_excuses_a_file_in_a_bundle(root):
    (root / WEB / "envoy/more.json").touch()
    assert found(root, claimed={f"{WEB}/envoy/more.json"}) == [("extra-file", WEB, f"{WEB}/envoy/more.json")]


def test_the_certificates_of_a_bundle_may_be_mounted_from_elsewhere(root):
    (root / WEB / "tls").rename(root.parent / "secret")
    (root / WEB / "tls").symlink_to(root.parent / "secret")
    assert found(root) == []


def test_what_cannot_be_read_is_not_known(root, monkeypatch):
    def refuse(path, flags, *args, **more):
        if str(path).endswith("lds.json"):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, flags, *args, **more)

    opened = os.open
    monkeypatch.setattr(os, "open", refuse)
    assert list(inspect(root, manifest.read(root))) == [
        Deviation("not-known", f"{WEB}/envoy/lds.json", "cannot be read: Permission denied", WEB)
    ]


def test_what_a_listed_file_holds_is_never_read_elsewhere(root):
    bundles = (WEB, STOCK)
    assert content(root, f"{WEB}/envoy/run", bundles) == Content(f"{WEB}/envoy/run".encode(), executable=True)
    assert content(root, f"{WEB}/none", bundles) is None
    release = apply(root)
    assert content(root, f"{WEB}/envoy/run", bundles) == Content(f"{WEB}/envoy/run".encode(), executable=True)
    (release / "envoy").rename(root.parent / "aside")
    (release / "envoy").symlink_to(root.parent / "aside")
    assert content(root, f"{WEB}/envoy/run", bundles) is None
    (root / STOCK / "nginx").rename(root.parent / "nginx")
    (root / STOCK / "nginx").symlink_to(root.parent / "nginx")
    assert content(root, f"{STOCK}/nginx/nginx.conf", bundles) is None
    (root / "identities.json").unlink()
    os.mkfifo(root / "identities.json")
    assert content(root, "identities.json", bundles) is None
    (root / "identities.json").unlink()
    (root / "identities.json").touch()
    grow(root)
    with pytest.raises(OSError, match="too large"):
        content(root, "identities.json", bundles)


def test_the_beginning_of_a_file_and_of_a_pipe(tmp_path):
    (tmp_path / "file").write_text("12345")
    assert beginning(tmp_path / "file", 3) == b"123"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        beginning(tmp_path / "pipe", 3)
