"""A rotation of the root: what each step does, what refuses it, and that a crash anywhere in it harms nobody."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from meshctl import ir, pipeline
from meshctl.diagnostics import FindingsError, UsageError
from meshctl.pki import crl, rotate, rotation
from meshctl.pki.authority import AuthorityError, create_authority, load_authority, save_authority
from meshctl.pki.identities import Holder, Identities, render_identities
from meshctl.pki.rotation import Step

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
DAY = timedelta(days=1)
POLICY = ir.CertificatePolicy(lifetime=30 * DAY, renew_before=10 * DAY)
BUNDLES = ("catalog/a", "catalog/b", "web")
NOTHING = pipeline.Evidence()


class Mesh:
    """A CA, a build with certificates of it, and a copy of that build: what is deployed."""

    def __init__(self, root: Path, *, lists: bool = True) -> None:
        self.ca, self.build, self.deployed = root / "ca", root / "build", root / "deployed"
        save_authority(self.ca, create_authority("shop.example", NOW))
        holders = tuple(_holder(*each.partition("/")[::2]) for each in BUNDLES)
        for each in BUNDLES:
            (self.build / each).mkdir(parents=True)
        identities = Identities("shop", POLICY, holders, crl=lists)
        (self.build / "identities.json").write_bytes(render_identities(identities))
        pipeline.issue_certificates(self.build, self.ca, NOW)
        self.deploy()

    def deploy(self, *bundles: str) -> None:
        for each in bundles or BUNDLES:
            shutil.copytree(self.build / each, self.deployed / each, dirs_exist_ok=True)

    def step(self, step: Step, *, now: datetime = NOW, proved: bool = True) -> pipeline.Rotated:
        evidence = pipeline.Evidence((self.deployed,)) if proved else NOTHING
        return pipeline.rotate_ca(self.build, self.ca, step, evidence, now)

    def roots(self, tree: Path | None = None) -> set[int]:
        """How many roots each bundle trusts."""
        return {len(_certificates((tree or self.build) / each / "tls/ca.pem")) for each in BUNDLES}

    def issuers(self, tree: Path | None = None) -> set[str]:
        leaves = (_certificates((tree or self.build) / each / "tls/cert.pem")[0] for each in BUNDLES)
        return {each.issuer.rfc4514_string() for each in leaves}

    def states(self, now: datetime = NOW) -> set[str]:
        return {each.state.value for each in pipeline.certificate_status(self.build, self.ca, now)}

    def under_way(self) -> Step | None:
        found = pipeline.ca_standing(self.ca).rotation
        return found.step if found else None

    def trust_each_other(self) -> bool:
        """Whether what is in the build would be taken by all that is deployed, and the other way round."""
        trees = [tree / each / "tls" for tree in (self.build, self.deployed) for each in BUNDLES]
        chains = [_certificates(each / "cert.pem") for each in trees if (each / "cert.pem").exists()]
        return all(
            any(_signed(issuing, root) for root in _certificates(each / "ca.pem"))
            and {issuing.subject} <= {one.issuer for one in crl.parse((each / "crl.pem").read_bytes())}
            for each in trees
            for _, issuing in chains
        )


def _holder(service, instance):
    return Holder(service, instance, ir.WorkloadIdentity(service, "shop.example", "shop.mesh"))


def _certificates(path):
    return x509.load_pem_x509_certificates(path.read_bytes())


def _signed(certificate, root):
    return certificate.issuer == root.subject


@pytest.fixture
def mesh(tmp_path):
    return Mesh(tmp_path)


def name(authority):
    return authority.issuing.subject.rfc4514_string()


def findings(caught):
    return [(each.slug, each.message) for each in caught.value.findings]


def test_four_steps(mesh):
    old = load_authority(mesh.ca)
    done = mesh.step(Step.BEGIN)
    assert (done.bundles, done.certificates, mesh.under_way()) == (3, 0, Step.BEGIN)
    assert (mesh.roots(), mesh.issuers(), mesh.states()) == ({2}, {name(old)}, {"valid"})
    mesh.deploy()
    new = load_authority(mesh.ca).beside
    assert new is not None
    assert mesh.step(Step.ISSUE).certificates == 3
    assert (mesh.roots(), mesh.issuers(), mesh.states()) == ({2}, {name(new)}, {"valid"})
    mesh.deploy()
    done = mesh.step(Step.FINISH)
    assert (done.rotation, done.bundles, mesh.under_way()) == (None, 3, None)
    assert (mesh.roots(), mesh.issuers(), mesh.states()) == ({1}, {name(new)}, {"valid"})
    assert load_authority(mesh.ca).root == new.root
    assert not (mesh.ca / "next").exists()
    assert {each.name for each in mesh.ca.iterdir() if stat.S_IMODE(each.stat().st_mode) & 0o077} == {
        ".gitignore", "root.pem", "issuing.pem", "crl.pem", "issued.json", "retired.pem",
    }  # fmt: skip


def test_both_cas_lists_are_in_every_bundle_while_both_roots_are(mesh):
    mesh.step(Step.BEGIN)
    for each in BUNDLES:
        lists = crl.parse((mesh.build / each / "tls/crl.pem").read_bytes())
        trusted = load_authority(mesh.ca).trusted
        assert {one.issuer for one in lists} == {
            subject for ca in trusted for subject in (ca.root.subject, ca.issuing.subject)
        }


@pytest.mark.parametrize(
    ("before", "step"),
    [
        ([], Step.ISSUE),
        ([], Step.FINISH),
        ([], Step.ABORT),
        ([Step.BEGIN], Step.FINISH),
        ([Step.BEGIN, Step.ISSUE], Step.BEGIN),
    ],
)
def test_a_step_out_of_turn_changes_nothing(mesh, before, step):
    for each in before:
        mesh.step(each)
        mesh.deploy()
    files = {path: path.read_bytes() for path in mesh.ca.rglob("*") if path.is_file()}
    with pytest.raises(UsageError):
        mesh.step(step)
    assert {path: path.read_bytes() for path in mesh.ca.rglob("*") if path.is_file()} == files


def test_a_step_that_needs_evidence_and_has_none_says_how(mesh):
    mesh.step(Step.BEGIN)
    with pytest.raises(UsageError, match="--deployed DIR"):
        mesh.step(Step.ISSUE, proved=False)
    assert mesh.under_way() is Step.BEGIN


def test_the_new_ca_does_not_issue_before_every_bundle_trusts_it(mesh):
    mesh.step(Step.BEGIN)
    mesh.deploy("web", "catalog/a")
    with pytest.raises(FindingsError) as caught:
        mesh.step(Step.ISSUE)
    new = load_authority(mesh.ca).beside
    assert findings(caught) == [
        ("rotation-behind", f"`catalog/b`: {mesh.deployed}/catalog/b/tls/ca.pem lacks {new.root.subject.rfc4514_string()}"),
        ("rotation-behind", f"`catalog/b`: {mesh.deployed}/catalog/b/tls/crl.pem lacks a list, not ended, of each CA below {new.root.subject.rfc4514_string()}"),
    ]  # fmt: skip
    assert mesh.under_way() is Step.BEGIN


def test_lists_are_asked_for_only_where_sidecars_look_into_them(tmp_path):
    mesh = Mesh(tmp_path, lists=False)
    mesh.step(Step.BEGIN)
    mesh.deploy()
    assert not list(mesh.deployed.rglob("crl.pem"))
    assert mesh.step(Step.ISSUE).certificates == 3


def test_where_hosts_hold_the_keys_the_build_gets_none(mesh):
    mesh.step(Step.BEGIN)
    mesh.deploy()
    for each in BUNDLES:
        shutil.rmtree(mesh.build / each / "tls")
    assert mesh.step(Step.ISSUE).certificates == 0
    assert mesh.under_way() is Step.ISSUE
    assert mesh.states() == {"missing"}


def test_a_bundle_that_is_deployed_nowhere_is_behind(mesh):
    mesh.step(Step.BEGIN)
    mesh.deploy()
    shutil.rmtree(mesh.deployed / "web")
    with pytest.raises(FindingsError) as caught:
        mesh.step(Step.ISSUE)
    assert findings(caught) == [
        ("rotation-behind", f"`web`: there is no tls folder of it below {mesh.deployed}")
    ]


def test_several_hosts_are_several_trees(mesh, tmp_path):
    mesh.step(Step.BEGIN)
    mesh.deploy()
    (tmp_path / "host").mkdir()
    (mesh.deployed / "web").rename(tmp_path / "host/web")
    evidence = pipeline.Evidence((mesh.deployed, tmp_path / "host"))
    assert pipeline.rotate_ca(mesh.build, mesh.ca, Step.ISSUE, evidence, NOW).certificates == 3


def test_the_old_root_stays_while_a_leaf_of_it_is_in_use(mesh):
    mesh.step(Step.BEGIN)
    mesh.deploy()
    mesh.step(Step.ISSUE)
    mesh.deploy("catalog/a", "catalog/b")
    with pytest.raises(FindingsError) as caught:
        mesh.step(Step.FINISH)
    (told,) = findings(caught)
    assert told[1].startswith(f"`web`: {mesh.deployed}/web/tls/cert.pem is not of CN=issuing CA")
    assert (mesh.under_way(), mesh.roots()) == (Step.ISSUE, {2})


def test_aborted_at_once_nothing_is_left_of_it(mesh):
    before = load_authority(mesh.ca)
    mesh.step(Step.BEGIN)
    done = mesh.step(Step.ABORT, proved=False)
    assert (done.rotation, done.bundles, mesh.under_way()) == (None, 3, None)
    assert (mesh.roots(), mesh.states(), load_authority(mesh.ca).root) == ({1}, {"valid"}, before.root)
    assert not (mesh.ca / "next").exists()


def test_aborted_after_the_new_ca_issued_the_old_one_issues_again_first(mesh):
    old = load_authority(mesh.ca)
    mesh.step(Step.BEGIN)
    mesh.deploy()
    mesh.step(Step.ISSUE)
    mesh.deploy("web")
    done = mesh.step(Step.ABORT, proved=False)
    assert (done.certificates, mesh.issuers(), mesh.roots()) == (3, {name(old)}, {2})
    with pytest.raises(FindingsError) as caught:
        mesh.step(Step.ABORT)
    assert "`web`" in findings(caught)[0][1]
    mesh.deploy()
    assert mesh.step(Step.ABORT).rotation is None
    assert (mesh.roots(), mesh.issuers(), mesh.states()) == ({1}, {name(old)}, {"valid"})


def test_after_going_back_it_can_go_on_again(mesh):
    for step in (Step.BEGIN, Step.ISSUE, Step.ABORT, Step.ISSUE, Step.FINISH):
        mesh.step(step)
        mesh.deploy()
    assert (mesh.under_way(), mesh.roots(), mesh.states()) == (None, {1}, {"valid"})


@pytest.mark.parametrize("steps", [[Step.BEGIN], [Step.BEGIN, Step.ISSUE]])
def test_whatever_issues_meanwhile_drops_no_root(mesh, steps):
    for each in steps:
        mesh.step(each)
        mesh.deploy()
    issuer = mesh.issuers()
    # All of them are due.
    pipeline.issue_certificates(mesh.build, mesh.ca, NOW + 25 * DAY)
    assert (mesh.roots(), mesh.issuers(), mesh.states(NOW + 25 * DAY)) == ({2}, issuer, {"valid"})
    shutil.rmtree(mesh.build / "web/tls")
    pipeline.issue_certificates(mesh.build, mesh.ca, NOW + 25 * DAY)
    assert (mesh.roots(), mesh.states(NOW + 25 * DAY)) == ({2}, {"valid"})
    (mesh.build / "web/tls/ca.pem").write_bytes((mesh.ca / "root.pem").read_bytes())
    assert mesh.states(NOW + 25 * DAY) <= {"valid", "trust-outdated", "foreign-ca"} != {"valid"}
    pipeline.issue_certificates(mesh.build, mesh.ca, NOW + 25 * DAY)
    assert (mesh.roots(), mesh.states(NOW + 25 * DAY)) == ({2}, {"valid"})


def test_facts_of_before_a_step_settle_nothing(mesh):
    pipeline.issue_certificates(mesh.build, mesh.ca, NOW)
    rotate.begin(mesh.ca, NOW)
    assert mesh.states() == {"trust-outdated"}
    assert len(pipeline.issue_certificates(mesh.build, mesh.ca, NOW)) == 3
    assert (mesh.roots(), mesh.states()) == ({2}, {"valid"})


def test_another_build_of_the_same_ca_loses_the_old_root_with_its_next_issuing(mesh, tmp_path):
    mesh.step(Step.BEGIN)
    mesh.deploy()
    mesh.step(Step.ISSUE)
    mesh.deploy()
    shutil.copytree(mesh.build, tmp_path / "other")
    mesh.step(Step.FINISH)
    assert mesh.roots(tmp_path / "other") == {2}
    states = pipeline.certificate_status(tmp_path / "other", mesh.ca, NOW)
    assert {each.state.value for each in states} == {"trust-outdated"}
    pipeline.issue_certificates(tmp_path / "other", mesh.ca, NOW)
    assert mesh.roots(tmp_path / "other") == {1}


def test_a_leaf_of_the_other_ca_is_replaced_whichever_that_is(mesh):
    mesh.step(Step.BEGIN)
    mesh.deploy()
    rotate.switch(mesh.ca, Step.ISSUE)
    assert mesh.states() == {"other-root"}
    assert len(pipeline.issue_certificates(mesh.build, mesh.ca, NOW)) == 3
    assert mesh.states() == {"valid"}
    rotate.switch(mesh.ca, Step.BEGIN)
    assert mesh.states() == {"other-root"}


@pytest.mark.parametrize("steps", [[Step.BEGIN], [Step.BEGIN, Step.ISSUE]])
def test_a_revocation_meanwhile_is_in_the_lists_of_both(mesh, steps):
    for each in steps:
        mesh.step(each)
        mesh.deploy()
    done = pipeline.revoke_certificates(mesh.build, mesh.ca, "web", NOW)
    assert len(done.certificates) == len(steps), "each CA has issued one"
    for authority in load_authority(mesh.ca).trusted:
        own = crl.parse(authority.crl_pem)[0]
        assert {each.serial for each in done.certificates} <= crl.serials([own])
    assert mesh.states() == {"valid", "revoked"}
    pipeline.issue_certificates(mesh.build, mesh.ca, NOW)
    assert (mesh.roots(), mesh.states()) == ({2}, {"valid"})


def test_a_ca_that_lost_revocations_of_a_rotation_is_refused(mesh):
    mesh.step(Step.BEGIN)
    before = (mesh.ca / "next/crl.pem").read_bytes()
    pipeline.revoke_certificates(mesh.build, mesh.ca, "web", NOW)
    (mesh.ca / "next/crl.pem").write_bytes(before)
    with pytest.raises(AuthorityError, match=r"1 finding") as caught:
        pipeline.issue_certificates(mesh.build, mesh.ca, NOW)
    assert "older" in findings(caught)[0][1]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"schemaVersion": 1, "step": "jump"}', b"\xff"])
def test_a_state_that_is_none_is_refused(mesh, content):
    mesh.step(Step.BEGIN)
    (mesh.ca / "rotation.json").write_bytes(content)
    for attempt in (
        lambda: load_authority(mesh.ca),
        lambda: mesh.step(Step.ISSUE),
        lambda: rotate.sweep(mesh.ca),
    ):
        with pytest.raises(AuthorityError) as caught:
            attempt()
        assert "rotation.json is not one" in findings(caught)[0][1]


def test_a_new_ca_whose_state_was_lost_is_not_thrown_away(mesh):
    mesh.step(Step.BEGIN)
    mesh.deploy()
    mesh.step(Step.ISSUE)
    (mesh.ca / "rotation.json").unlink()
    with pytest.raises(AuthorityError) as caught:
        mesh.step(Step.BEGIN)
    assert "restore it" in findings(caught)[0][1]
    assert (mesh.ca / "next/root.key").exists()


def test_a_root_key_kept_elsewhere_leaves_none_of_the_old_ca(mesh):
    mesh.step(Step.BEGIN)
    (mesh.ca / "next/root.key").unlink()
    mesh.deploy()
    mesh.step(Step.ISSUE)
    mesh.deploy()
    mesh.step(Step.FINISH)
    assert not (mesh.ca / "root.key").exists()


def test_the_issuing_ca_is_renewed_and_nothing_else_changes(mesh):
    before, files = (
        load_authority(mesh.ca),
        {path: path.read_bytes() for path in mesh.build.rglob("cert.pem*")},
    )
    later = NOW + 340 * DAY
    assert [each.slug for each in pipeline.ca_due(mesh.build, mesh.ca, later)] == ["ca-due"]
    assert pipeline.renew_issuing(mesh.ca, later).issuing_end == later + 365 * DAY
    after = load_authority(mesh.ca)
    assert (after.root, after.key_identifier) == (before.root, before.key_identifier)
    after.issuing.verify_directly_issued_by(after.root)
    leaf, _ = _certificates(mesh.build / "web/tls/cert.pem")
    leaf.verify_directly_issued_by(after.issuing)
    assert pipeline.ca_due(mesh.build, mesh.ca, later) == ()
    assert crl.end(crl.parse(after.crl_pem)[1:]) == later + 365 * DAY
    pipeline.renew_issuing(mesh.ca, NOW + 341 * DAY)
    assert {path: path.read_bytes() for path in mesh.build.rglob("cert.pem*")} == files
    assert mesh.states() == {"crl-outdated"}
    pipeline.issue_certificates(mesh.build, mesh.ca, NOW)
    assert {path: path.read_bytes() for path in mesh.build.rglob("cert.pem*")} == files


@pytest.mark.parametrize(
    ("days", "due"), [(324, False), (325, True)], ids=["lives long enough", "lifetime and window before"]
)
def test_a_ca_is_due_before_it_can_issue_no_more(mesh, days, due):
    # 365 days, less the 30 of a leaf and the 10 of its renewal.
    assert bool(pipeline.ca_due(mesh.build, mesh.ca, NOW + days * DAY)) is due


@pytest.mark.parametrize("fault", ["missing", "another", "in a rotation", "the root ends"])
def test_an_issuing_ca_is_not_renewed(mesh, fault, tmp_path):
    now = NOW
    match fault:
        case "missing":
            (mesh.ca / "root.key").unlink()
        case "another":
            save_authority(tmp_path / "other", create_authority("shop.example", NOW))
            (mesh.ca / "root.key").write_bytes((tmp_path / "other/root.key").read_bytes())
        case "in a rotation":
            mesh.step(Step.BEGIN)
        case _:
            pipeline.renew_issuing(mesh.ca, NOW + 3400 * DAY)
            now = NOW + 3401 * DAY
    before = (mesh.ca / "issuing.pem").read_bytes()
    with pytest.raises((AuthorityError, UsageError)):
        pipeline.renew_issuing(mesh.ca, now)
    assert (mesh.ca / "issuing.pem").read_bytes() == before


WRITES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree", "fcntl.flock")


def killed(mesh, step, number):
    """Take a step in a process that is killed at its n-th change of the disk; whether it lived to the end."""
    child = os.fork()
    if child == 0:
        count = 0

        def die(event, arguments):
            nonlocal count
            if event in WRITES or (event == "open" and arguments[2] & os.O_CREAT):
                count += 1
                if count == number:
                    os._exit(9)

        sys.addaudithook(die)
        mesh.step(step)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize(
    ("before", "step"),
    [
        ([], Step.BEGIN),
        ([Step.BEGIN], Step.ISSUE),
        ([Step.BEGIN, Step.ISSUE], Step.FINISH),
        ([Step.BEGIN], Step.ABORT),
        ([Step.BEGIN, Step.ISSUE], Step.ABORT),
        ([Step.BEGIN, Step.ISSUE, Step.ABORT], Step.ABORT),
    ],
    ids=lambda each: each if isinstance(each, str) else f"after {len(each)}",
)
@pytest.mark.parametrize("each", [pytest.param(1, marks=pytest.mark.soak), 6])
def test_a_step_killed_anywhere_can_be_taken_again(tmp_path, before, step, each):
    prepared = Mesh(tmp_path / "prepared")
    for taken in before:
        prepared.step(taken)
        prepared.deploy()
    done = False
    for number in range(each, 200, each):
        root = tmp_path / str(number)
        shutil.copytree(tmp_path / "prepared", root)
        mesh = object.__new__(Mesh)
        mesh.ca, mesh.build, mesh.deployed = root / "ca", root / "build", root / "deployed"
        done = killed(mesh, step, number)
        if done:
            break
        assert mesh.trust_each_other(), f"killed at {number}"
        load_authority(mesh.ca)
        finished(mesh, step, before)
        shutil.rmtree(root)
    assert done
    assert number > 10


def finished(mesh, step, before):
    """Take it again, in another process's shoes, and the mesh is where the step leads."""
    under_way = mesh.under_way()
    goes_back = step is Step.ABORT and before[-1:] == [Step.ISSUE]
    if not (goes_back and under_way is Step.BEGIN):
        if under_way is None and step is not Step.BEGIN:
            # It had ended, and at most something was left to remove.
            rotate.sweep(mesh.ca)
        else:
            mesh.step(step)
    else:
        pipeline.issue_certificates(mesh.build, mesh.ca, NOW)
    over = step is Step.FINISH or (step is Step.ABORT and not goes_back)
    assert (mesh.roots(), mesh.states()) == ({1} if over else {2}, {"valid"})
    assert (mesh.ca / "next").exists() is not over
    assert not list(mesh.ca.glob(".next*"))
    wanted = {Step.BEGIN: Step.BEGIN, Step.ISSUE: Step.ISSUE}.get(step, None if over else Step.BEGIN)
    assert mesh.under_way() is wanted
    assert rotation.folders(mesh.ca)[0] == (mesh.ca / "next" if step is Step.ISSUE else mesh.ca)
