from __future__ import annotations

import stat
from datetime import timedelta

import pytest

from meshctl.pki.authority import AuthorityError, create_authority, load_authority, save_authority

SECRET = ("root.key", "issuing.key")


def slug(caught):
    (finding,) = caught.value.findings
    return finding.slug


@pytest.fixture
def saved(tmp_path, new_authority):
    save_authority(tmp_path / "state/ca", new_authority)
    return tmp_path / "state/ca"


def test_what_is_saved_is_what_is_loaded(saved, authority):
    loaded = load_authority(saved)
    assert (loaded.root, loaded.issuing) == (authority.root, authority.issuing)
    assert loaded.issuing_key.private_numbers() == authority.issuing_key.private_numbers()


def test_lifetimes_and_names(authority, now):
    moment = now.replace(microsecond=0)
    assert authority.root.not_valid_after_utc == moment + timedelta(days=3650)
    assert authority.issuing.not_valid_after_utc == moment + timedelta(days=365)
    assert authority.not_after == authority.issuing.not_valid_after_utc
    assert authority.root.issuer == authority.root.subject
    other = create_authority("shop.example", now).authority
    assert other.root.subject != authority.root.subject
    assert other.issuing.subject != authority.issuing.subject


def test_nobody_else_can_read_the_keys_and_git_ignores_them(saved):
    assert stat.S_IMODE(saved.stat().st_mode) == 0o700
    assert {name: stat.S_IMODE((saved / name).stat().st_mode) for name in SECRET} == dict.fromkeys(
        SECRET, 0o600
    )
    assert (saved / ".gitignore").read_text() == "*\n"


def test_the_folder_appears_whole_and_leaves_nothing_beside(saved):
    assert [path.name for path in saved.parent.iterdir()] == ["ca"]
    assert sorted(path.name for path in saved.iterdir()) == [
        ".gitignore",
        "crl.pem",
        "issuing.key",
        "issuing.pem",
        "root.key",
        "root.pem",
    ]


def test_an_existing_ca_is_never_overwritten(saved, now):
    before = {path: path.read_bytes() for path in saved.iterdir()}
    with pytest.raises(AuthorityError) as caught:
        save_authority(saved, create_authority("shop.example", now))
    assert slug(caught) == "ca-exists"
    assert {path: path.read_bytes() for path in saved.iterdir()} == before
    assert [path.name for path in saved.parent.iterdir()] == ["ca"]


def test_a_link_in_place_of_the_folder_is_not_followed(tmp_path, new_authority):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "ca").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AuthorityError) as caught:
        save_authority(tmp_path / "ca", new_authority)
    assert slug(caught) == "ca-exists"
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("name", ["root.pem", "issuing.pem", "issuing.key"])
def test_a_ca_without_one_of_its_files_is_missing(saved, name):
    (saved / name).unlink()
    with pytest.raises(AuthorityError, match="1 finding") as caught:
        load_authority(saved)
    assert slug(caught) == "ca-missing"
    assert name in caught.value.findings[0].message


def test_no_folder_no_ca(tmp_path):
    with pytest.raises(AuthorityError) as caught:
        load_authority(tmp_path / "none")
    assert slug(caught) == "ca-missing"


def test_the_roots_key_may_be_kept_elsewhere(saved):
    (saved / "root.key").unlink()
    load_authority(saved)


def _open_key(folder, other):
    (folder / "issuing.key").chmod(0o640)


def _linked_key(folder, other):
    (folder / "issuing.key").rename(folder / "real")
    (folder / "issuing.key").symlink_to("real")


def _garbage(folder, other):
    (folder / "issuing.pem").write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")


def _foreign_root(folder, other):
    (folder / "root.pem").write_bytes((other / "root.pem").read_bytes())


def _foreign_key(folder, other):
    (folder / "issuing.key").write_bytes((other / "issuing.key").read_bytes())


@pytest.mark.parametrize("spoil", [_open_key, _linked_key, _garbage, _foreign_root, _foreign_key])
def test_a_spoilt_ca_is_refused_and_its_key_never_quoted(saved, tmp_path, now, spoil):
    save_authority(tmp_path / "other", create_authority("shop.example", now))
    key = (saved / "issuing.key").read_text().splitlines()[1]
    spoil(saved, tmp_path / "other")
    with pytest.raises(AuthorityError) as caught:
        load_authority(saved)
    assert slug(caught) == "ca-unusable"
    assert key not in caught.value.findings[0].message
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
