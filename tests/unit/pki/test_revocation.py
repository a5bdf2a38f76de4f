"""Lists of revoked certificates: what stands in them, how long they hold, and who gets them."""

from __future__ import annotations

import json
import subprocess
import threading
from datetime import timedelta

import pytest
from cryptography import x509
from msgspec.structs import replace

from meshctl.diagnostics import FindingsError, UsageError
from meshctl.pki import crl, facts, register, renewal, revocation, store
from meshctl.pki.authority import AuthorityError, create_authority, load_authority, save_authority
from meshctl.pki.issue import issue
from meshctl.pki.store import CertificateState

DAY = timedelta(days=1)
MONTH = 30 * DAY


@pytest.fixture
def ca(tmp_path, new_authority):
    save_authority(tmp_path / "ca", new_authority)
    return tmp_path / "ca"


@pytest.fixture
def checked(identities):
    return replace(identities, crl=True)


@pytest.fixture
def build(tmp_path, checked, ca, now):
    for holder in checked.holders:
        tmp_path.joinpath("build", *holder.folder).mkdir(parents=True)
    renewal.issue_due(tmp_path / "build", checked, load_authority(ca), now)
    return tmp_path / "build"


def signed_by(listed, signer):
    return listed.is_signature_valid(signer.public_key())


def serial(build, holder):
    held = store.held(build, holder)
    assert held is not None
    return held.serial


def states(build, identities, authority, now):
    return [each.state.value for each in renewal.check(build, identities, authority, now)]


def test_a_list_of_each_ca_that_its_ca_has_signed(authority, now):
    own, roots = crl.parse(authority.crl_pem)
    assert (own.issuer, roots.issuer) == (authority.issuing.subject, authority.root.subject)
    assert signed_by(own, authority.issuing)
    assert signed_by(roots, authority.root)
    assert crl.end([own]) == (now + MONTH).replace(microsecond=0)
    # When the issuing CA ends its root's key is needed anyway.
    assert crl.end([roots]) == authority.issuing.not_valid_after_utc
    assert own.last_update_utc < now
    assert crl.serials([own, roots]) == frozenset()


def test_the_next_list_has_what_stood_in_the_one_before(ca, now):
    first, new = revocation.revoke(ca, {7, 8}, MONTH, now)
    later = now + DAY
    second, newer = revocation.revoke(ca, {8, 9}, MONTH, later)
    assert (set(new), set(newer)) == ({7, 8}, {9})
    before, after = (crl.parse(each.crl_pem)[0] for each in (first, second))
    numbers = [
        each.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number for each in (before, after)
    ]
    assert numbers == [2, 3]
    dates = {entry.serial_number: entry.revocation_date_utc for entry in after}
    moment = now.replace(microsecond=0)
    assert dates == {7: moment, 8: moment, 9: moment + DAY}
    assert load_authority(ca).crl_pem == second.crl_pem
    assert sorted(path.name for path in ca.iterdir() if path.name.endswith("tmp")) == []


def test_two_at_a_time_lose_nobody(ca, now):
    threads = [
        threading.Thread(target=revocation.revoke, args=(ca, {number}, MONTH, now)) for number in range(1, 9)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert crl.serials(crl.parse((ca / "crl.pem").read_bytes())) == set(range(1, 9))


def openssl(folder, issued, crl_pem, at):
    files = {"cert": issued.chain_pem, "ca": issued.trust_pem, "crl": crl_pem}
    for name, content in files.items():
        (folder / f"{name}.pem").write_bytes(content)
    command = "openssl verify -x509_strict -crl_check_all -CAfile ca.pem -CRLfile crl.pem -untrusted cert.pem"
    moment = ("-attime", str(int(at.timestamp())), "cert.pem")
    done = subprocess.run(
        [*command.split(), *moment], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("nobody is revoked", ""),
        ("another is revoked", ""),
        ("it is revoked", "certificate revoked"),
        ("the list has ended", "CRL has expired"),
        ("the root has no list", "unable to get certificate CRL"),
        ("a list of another CA", "unable to get certificate CRL"),
    ],
)
def test_openssl_takes_and_refuses_as_it_should(case, said, ca, tmp_path, now, checked):
    authority = load_authority(ca)
    issued = issue(authority, checked.holders[0].identity, 2 * MONTH, now)
    revoked = {"another is revoked": {1}, "it is revoked": {issued.serial}}.get(case, set())
    pem = revocation.revoke(ca, revoked, MONTH, now)[0].crl_pem
    if case == "the root has no list":
        pem = pem[: pem.index(b"-----END X509 CRL-----") + 23]
    if case == "a list of another CA":
        pem = create_authority("shop.example", now).authority.crl_pem
    at = now + (MONTH + DAY if case == "the list has ended" else DAY)
    passed, stderr = openssl(tmp_path, issued, pem, at)
    assert (passed, said in stderr) == (not said, True), stderr


@pytest.mark.parametrize(
    ("content", "good"),
    [(b"", False), (b"x", False), (b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", False)],
)
def test_what_is_no_file_of_lists(content, good):
    with pytest.raises(ValueError, match=r".+"):
        crl.parse(content)


def test_a_list_with_something_behind_it_is_none(authority):
    with pytest.raises(ValueError, match="not a file"):
        crl.parse(authority.crl_pem + b"more")


def test_lists_that_another_ca_signed_make_a_ca_unusable(ca, now):
    (ca / "crl.pem").write_bytes(create_authority("shop.example", now).authority.crl_pem)
    with pytest.raises(AuthorityError) as caught:
        load_authority(ca)
    assert caught.value.findings[0].slug == "ca-unusable"


def test_a_ca_of_an_earlier_release_gets_its_lists_from_both_keys(ca, checked, now):
    (ca / "crl.pem").unlink()
    assert load_authority(ca).crl_pem == b""
    made = revocation.renewed(ca, checked.policy, now)
    own, roots = crl.parse(made.crl_pem)
    assert signed_by(roots, made.root)
    assert signed_by(own, made.issuing)
    assert load_authority(ca).crl_pem == made.crl_pem


@pytest.mark.parametrize("key", [None, b"nonsense"])
def test_without_the_roots_key_it_says_what_to_do(key, ca, checked, now):
    (ca / "crl.pem").unlink()
    (ca / "root.key").unlink()
    if key:
        (ca / "root.key").write_bytes(key)
        (ca / "root.key").chmod(0o600)
    with pytest.raises(AuthorityError, match="1 finding") as caught:
        revocation.renewed(ca, checked.policy, now)
    assert "put that back for once" in caught.value.findings[0].message
    assert not (ca / "crl.pem").exists()


def test_lists_are_renewed_when_leaves_are(ca, checked, now):
    revocation.revoke(ca, {5}, MONTH, now)
    due = (now + MONTH).replace(microsecond=0) - checked.policy.renew_before
    before = (ca / "crl.pem").read_bytes()
    assert revocation.renewed(ca, checked.policy, due - timedelta(seconds=1)).crl_pem == before
    renewed = revocation.renewed(ca, checked.policy, due)
    own, roots = crl.parse(renewed.crl_pem)
    assert crl.end([own]) == due + checked.policy.lifetime
    assert crl.serials([own]) == {5}
    assert [roots] == list(crl.parse(before)[1:])


def test_no_list_outlives_its_ca(ca, checked, now):
    end = load_authority(ca).issuing.not_valid_after_utc
    late = end - DAY
    once = revocation.renewed(ca, checked.policy, late)
    assert crl.end(crl.parse(once.crl_pem)) == end
    assert revocation.renewed(ca, checked.policy, late).crl_pem == once.crl_pem


def test_a_service_stands_for_all_its_certificates_and_the_last_but_one(build, ca, checked, now):
    web, first, second = checked.holders
    old = {serial(build, each) for each in (first, second)}
    later = now + 21 * DAY
    renewal.issue_due(build, checked, load_authority(ca), later)
    new = {serial(build, each) for each in (first, second)}
    assert not old & new

    def found(who, root=build, at=later):
        return {each.serial for each in revocation.certificates_of(who, ca, root, checked, at)}

    assert found("catalog") == old | new
    assert found("catalog", None) == old | new
    assert found("web") >= {serial(build, web)}
    assert found("catalog", at=now + MONTH + DAY) == new
    (ca / "issued.json").unlink()
    assert found("catalog") == new


def test_a_serial_number_stands_for_itself(build, ca, checked, now):
    web = checked.holders[0]
    number = serial(build, web)
    text = f"{number:040X}"
    colons = ":".join(text[at : at + 2] for at in range(0, 40, 2))
    for who in (text, text.lower(), colons):
        (found,) = revocation.certificates_of(who, ca, build, checked, now)
        assert (found.serial, found.bundle) == (number, "web")
    (unknown,) = revocation.certificates_of("ab" * 16, ca, build, checked, now)
    assert (unknown.serial, unknown.bundle) == (int("ab" * 16, 16), "")


@pytest.mark.parametrize("who", ["nobody", "", "12", "g" * 32, "0" * 41, "-1", "web/../catalog"])
def test_who_is_neither(who, build, ca, checked, now):
    with pytest.raises(UsageError, match="neither a service"):
        revocation.certificates_of(who, ca, build, checked, now)


@pytest.mark.parametrize("number", [0, -1, 2**159, 2**160 - 1])
def test_a_number_that_no_list_can_hold(number, ca, now):
    before = (ca / "crl.pem").read_bytes()
    with pytest.raises(UsageError, match="is no serial number"):
        revocation.revoke(ca, {number}, MONTH, now)
    assert (ca / "crl.pem").read_bytes() == before
    revocation.revoke(ca, {2**159 - 1}, MONTH, now)


def test_the_register_forgets_what_has_ended(build, ca, checked, now):
    assert len(register.entries(ca, now)) == 3
    late = now + MONTH + DAY
    renewal.issue_due(build, checked, load_authority(ca), late)
    assert len(json.loads((ca / "issued.json").read_text())["issued"]) == 3


def _issued(end):
    return f'{{"schemaVersion": 1, "issued": [{{"serial": "1", "service": "a", "bundle": "a", "notAfter": {end}}}]}}'


@pytest.mark.parametrize(
    "content",
    [
        *("", "[]", "{}", '{"schemaVersion": 2}', '{"schemaVersion": 1, "issued": [1]}', "[" * 5000),
        *(_issued(end) for end in ("1e999", "1e17", "1e30", "-1e30", "null", "{}")),
    ],
    ids=lambda content: content[-20:],
)
def test_a_register_that_cannot_be_read_stops_issuing(content, build, ca, checked, now):
    (ca / "issued.json").write_text(content)
    before = serial(build, checked.holders[0])
    with pytest.raises(FindingsError):
        renewal.issue_due(build, checked, load_authority(ca), now + 21 * DAY)
    assert serial(build, checked.holders[0]) == before


def _spoil(build, content):
    for path in build.rglob("crl.pem"):
        path.unlink() if content is None else path.write_bytes(content)


@pytest.mark.parametrize(
    ("days", "content", "state"),
    [
        (0, b"same", "valid"),
        (0, None, "crl-missing"),
        (0, b"nonsense", "crl-unreadable"),
        (20, b"same", "due"),
        (31, b"same", "expired"),
    ],
)
def test_states_of_lists(days, content, state, build, ca, checked, now):
    if content != b"same":
        _spoil(build, content)
    found = states(build, checked, load_authority(ca), now + days * DAY)
    assert set(found) == {state}


def test_a_list_that_ends_before_the_leaves(build, ca, checked, now):
    short, _ = revocation.revoke(ca, (), 12 * DAY, now)
    assert set(states(build, checked, short, now)) == {"crl-outdated"}
    assert set(states(build, checked, None, now)) == {"valid"}
    renewal.deliver(build, checked, short)
    for days, state in ((1, "valid"), (2, "crl-due"), (12, "crl-expired")):
        assert set(states(build, checked, short, now + days * DAY)) == {state}


def test_a_revoked_certificate_is_replaced_and_others_only_get_the_list(build, ca, checked, now):
    web, *others = checked.holders
    before = {each: serial(build, each) for each in checked.holders}
    authority, _ = revocation.revoke(ca, {before[web]}, MONTH, now)
    # Before the list is delivered the CA's own tells.
    assert states(build, checked, authority, now) == ["revoked", "crl-outdated", "crl-outdated"]
    assert renewal.deliver(build, checked, authority) == checked.holders
    assert renewal.deliver(build, checked, authority) == ()
    assert states(build, checked, None, now) == ["revoked", "valid", "valid"]
    assert not facts.settled(build, checked, ca, now)
    replaced = renewal.issue_due(build, checked, authority, now)
    assert [(each.holder, each.state) for each in replaced] == [(web, CertificateState.REVOKED)]
    assert serial(build, web) != before[web]
    assert {each: serial(build, each) for each in others} == {each: before[each] for each in others}
    assert states(build, checked, authority, now) == ["valid"] * 3
    assert facts.settled(build, checked, ca, now)


def test_newer_lists_make_no_new_certificates(build, ca, checked, now):
    before = [serial(build, each) for each in checked.holders]
    authority, _ = revocation.revoke(ca, {1}, MONTH, now)
    replaced = renewal.issue_due(build, checked, authority, now)
    assert {each.state.value for each in replaced} == {"crl-outdated"}
    assert [serial(build, each) for each in checked.holders] == before
    assert {path.read_bytes() for path in build.rglob("crl.pem")} == {authority.crl_pem}


def test_bundles_that_do_not_look_get_no_list(tmp_path, identities, ca, now):
    for holder in identities.holders:
        tmp_path.joinpath("plain", *holder.folder).mkdir(parents=True)
    renewal.issue_due(tmp_path / "plain", identities, load_authority(ca), now)
    assert list((tmp_path / "plain").rglob("crl.pem")) == []


def test_a_link_in_the_place_of_a_list_is_refused(build, ca, checked, now, tmp_path):
    outside = tmp_path / "outside"
    outside.write_bytes(b"")
    path = build / "web/tls/crl.pem"
    path.unlink()
    path.symlink_to(outside)
    with pytest.raises(OSError, match=r"crl\.pem"):
        renewal.deliver(build, checked, load_authority(ca))
    assert outside.read_bytes() == b""
