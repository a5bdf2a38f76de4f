"""One spec for each kind of mistake, and every kind has one: what is told, where, and with which exit code.

The first line of a case's ``mesh.yaml`` says what must be found: ``# expect: CODE LINE:COLUMN``, after a file
where it is another one, ``+N`` behind it where the mistake is N errors more, ``lint`` where `validate` alone does not
look for it, ``--env NAME`` where an environment makes the mistake, and ``fix: TEXT`` where the way out is particular.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from meshctl.catalogue import CODES
from meshctl.cli.app import run
from meshctl.cli.formats import Format

ROOT = Path(__file__).resolve().parents[2]
CASES = sorted((Path(__file__).parent / "mistakes").iterdir())
EXPECTED = re.compile(
    r"# expect: (?P<code>MSH\d{4}) (?:(?P<file>\S+):)?(?P<line>\d+):(?P<column>\d+)"
    r"( \+(?P<more>\d+))?(?P<lint> lint)?( --env (?P<env>\S+))?( fix: (?P<fix>.+))?"
)
FIRST = [case for case in CASES if case.name.endswith("-01")]
UNREADABLE = {"yaml-syntax", "unreadable-file", "too-large"}

# Codes that no spec alone can bring about: the test that does, and what it is called there.
PKI = ROOT / "tests" / "unit" / "pki"
PIPELINE = PKI.parent / "pipeline"
ELSEWHERE = {
    "certificate-missing": (PKI / "test_store.py", "CertificateState.MISSING"),
    "certificate-unreadable": (PKI / "test_store.py", "CertificateState.UNREADABLE"),
    "certificate-mismatched-key": (PKI / "test_store.py", "CertificateState.MISMATCHED_KEY"),
    "certificate-wrong-identity": (PKI / "test_store.py", "CertificateState.WRONG_IDENTITY"),
    "certificate-foreign-ca": (PKI / "test_store.py", "CertificateState.FOREIGN_CA"),
    "certificate-expired": (PKI / "test_store.py", "CertificateState.EXPIRED"),
    "certificate-not-yet-valid": (PKI / "test_store.py", "CertificateState.NOT_YET_VALID"),
    "rotation-behind": (PIPELINE / "test_rotation.py", '"rotation-behind"'),
    "certificate-other-root": (PIPELINE / "test_rotation.py", '"other-root"'),
    "trust-outdated": (PIPELINE / "test_rotation.py", '"trust-outdated"'),
    "ca-due": (PIPELINE / "test_rotation.py", '"ca-due"'),
    "certificate-due": (PKI / "test_store.py", "CertificateState.DUE"),
    "issuer-ends-first": (PKI / "test_issue.py", "issuer-ends-first"),
    "ca-missing": (PKI / "test_authority.py", "ca-missing"),
    "ca-unusable": (PKI / "test_authority.py", "ca-unusable"),
    "ca-exists": (PKI / "test_authority.py", "ca-exists"),
    "certificate-revoked": (PKI / "test_revocation.py", '"revoked"'),
    "crl-missing": (PKI / "test_revocation.py", "crl-missing"),
    "crl-unreadable": (PKI / "test_revocation.py", "crl-unreadable"),
    "crl-expired": (PKI / "test_revocation.py", "crl-expired"),
    "crl-outdated": (PKI / "test_revocation.py", "crl-outdated"),
    "crl-due": (PKI / "test_revocation.py", "crl-due"),
    "revocation-unchecked": (Path(__file__).parent / "test_certs.py", "revocation-unchecked"),
    "request-refused": (PKI / "test_requests.py", "request-refused"),
    "certificate-refused": (PKI / "test_acceptance.py", "certificate-refused"),
    "not-on-platform": (Path(__file__).parent / "test_bundle.py", "MSH7004 not-on-platform"),
    "address-on-platform": (Path(__file__).parent / "test_bundle.py", "MSH7005 address-on-platform"),
    "unused-baseline": (Path(__file__).parent / "test_baseline.py", "MSH8005 unused-baseline"),
    **{
        slug: (PIPELINE.parent / "test_inspection.py", f'"{slug}"')
        for slug in (
            "edited-file",
            "missing-file",
            "extra-file",
            "replaced-file",
            "wrong-mode",
            "missing-bundle",
        )
    },
    **{
        slug: (Path(__file__).parent / "test_drift.py", f'"{slug}"')
        for slug in ("outdated-bundle", "unknown-bundle", "altered-bundle", "not-known")
    },
    **{
        slug: (ROOT / "tests" / "behaviour" / "test_drift.py", f'"{slug}"')
        for slug in ("not-running", "foreign-program", "outdated-sidecar", "reload-not-taken")
    },
    "key-tracked": (Path(__file__).parent / "test_certs_keys.py", "MSH6032 key-tracked"),
    "ca-tracked": (Path(__file__).parent / "test_certs.py", "test_a_ca_that_git_tracks_is_refused"),
}


def slug(case):
    return case.name.rpartition("-")[0]


def first_line(case):
    first = (case / "mesh.yaml").read_bytes().partition(b"\n")[0].decode()
    found = EXPECTED.fullmatch(first)
    assert found, f"{case.name}: {first}"
    return found


def expectation(case):
    found = first_line(case)
    place = {"file": found["file"] or "mesh.yaml", "line": int(found["line"]), "column": int(found["column"])}
    return found["code"], place, "lint" if found["lint"] else "validate", found["env"]


def environment(case):
    *_, name = expectation(case)
    return ("--env", name) if name else ()


def command(case, *more):
    _, _, name, _ = expectation(case)
    policies = ("--policies", "policies") if (case / "policies").is_dir() else ()
    return [name, "mesh.yaml", *environment(case), *policies, *more]


@pytest.fixture
def at(monkeypatch, tmp_path):
    """Go to a copy of the case, so that a command that writes cannot harm it."""

    def go(case):
        shutil.copytree(case, tmp_path / "case")
        monkeypatch.chdir(tmp_path / "case")

    return go


def test_every_code_has_a_case():
    slugs = {slug(case) for case in CASES}
    assert slugs | ELSEWHERE.keys() == CODES.keys()
    assert not slugs & ELSEWHERE.keys()


@pytest.mark.parametrize("name", sorted(ELSEWHERE))
def test_a_code_without_a_case_is_tested_elsewhere(name):
    path, words = ELSEWHERE[name]
    assert words in path.read_text("utf-8")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_mistake_is_told_at_its_place(case, at, capsys):
    code, place, *_ = expectation(case)
    at(case)
    ended = run(command(case, "--format", "json"))
    document = json.loads(capsys.readouterr().out)
    found = [each for each in document["findings"] if (each["code"], each["at"]) == (code, place)]
    assert found, document["findings"]
    assert {each["slug"] for each in found} == {slug(case)}
    assert all(each["message"] and each["why"] and each["fix"] for each in found)
    line = first_line(case)
    assert line["fix"] in (None, *(each["fix"] for each in found)), found
    # One mistake is one finding: nothing that follows from it is told too, unless the case says so.
    others = [each for each in document["findings"] if each["severity"] == "error" and each not in found]
    assert len(others) == int(line["more"] or 0), others
    unreadable = any(each["slug"] in UNREADABLE for each in document["findings"])
    assert ended == (2 if unreadable else int(document["summary"]["error"] > 0))


@pytest.mark.parametrize("case", FIRST, ids=lambda case: case.name)
def test_the_exit_code_does_not_depend_on_the_format(case, at, capsys):
    at(case)
    codes = {run(command(case, "--format", form)) for form in Format}
    assert len(codes) == 1
    strict = {run(command(case, "--format", form, "--fail-on", "warning")) for form in Format}
    assert strict == ({2} if codes == {2} else {1})
    lenient = {run(command(case, "--format", form, "--fail-on", "never")) for form in Format}
    assert lenient == ({2} if codes == {2} else {0})
    capsys.readouterr()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_printed_is_safe_to_print(case, at, capsys):
    code, place, *_ = expectation(case)
    at(case)
    run(command(case))
    text = capsys.readouterr()
    assert f"{place['file']}:{place['line']}:{place['column']}: " in text.out
    assert code in text.out
    assert "Traceback" not in text.out + text.err
    assert all(line.isprintable() for line in (text.out + text.err).splitlines())
    # Whatever a value holds, a line that looks like a finding is one.
    beginnings = [line for line in text.out.splitlines() if not line.startswith("    ")]
    assert all(
        re.match(r"\S+:\d+:\d+: (error|warning|info) MSH\d{4} |\s*\d+ \| ", line) for line in beginnings
    )
    assert "c2VjcmV0" not in text.out + text.err
    run(command(case, "--format", "github"))
    lines = capsys.readouterr().out.splitlines()
    assert all(
        re.match(r"::(error|warning|notice) title=MSH\d{4} [a-z-]+,file=[^:,]+,line=\d+,col=\d+::", line)
        for line in lines
    )


@pytest.mark.parametrize("case", FIRST, ids=lambda case: case.name)
def test_a_build_that_fails_changes_no_file(case, at, capsys):
    at(case)
    out = Path("build")
    out.mkdir()
    (out / "kept").write_text("kept")
    ended = run(["build", "mesh.yaml", *environment(case), "--verify", "none"])
    made = sorted(str(path.relative_to(out)) for path in out.rglob("*"))
    assert ended in (0, 1, 2)
    assert (made == ["kept"]) == (ended != 0)
    capsys.readouterr()
