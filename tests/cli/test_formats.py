"""Every format is what those who read it expect: by its schema, with hostile words, and when lines move."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import xmlschema
from jsonschema import Draft4Validator, Draft202012Validator

from meshctl import pipeline
from meshctl.catalogue import CODES, finding
from meshctl.cli.app import run
from meshctl.cli.formats import RENDERERS, Context, Format
from meshctl.diagnostics import Finding, Position, Related, Severity
from scripts.generate import findings_page

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = ROOT / "tests" / "schemas"
SARIF = Draft4Validator(
    json.loads((SCHEMAS / "sarif-2.1.0-rtm.5.json").read_text()),
    format_checker=Draft4Validator.FORMAT_CHECKER,
)
GITLAB = Draft202012Validator(json.loads((SCHEMAS / "gitlab-code-quality.schema.json").read_text()))
FINDINGS = Draft202012Validator(json.loads((ROOT / "schemas" / "findings.schema.json").read_text()))
JUNIT = xmlschema.XMLSchema(str(SCHEMAS / "junit-10.xsd"))

HOSTILE = [
    "\x00\x01\x08\x0b\x7f\x85",
    "\x1b]0;title\x07\x1b[31m",
    "a ]]> b <![CDATA[ c",
    "&amp; <b a='\"'> %0A %25",
    "::error::x",
    "one\ntwo\r\nthree\u2028four",
    "\ud800 and \udcff",
    "\ufffe\uffff\u202e",
    "{0} [click](1) {{ x }}",
    "",
    "  ",
]
PLACES = [
    None,
    Position("a b/\udcff:ä%.yaml", 3, 7),
    Position("./mesh.yaml", 1, 1),
    Position("/a/m.yaml", 2, 1),
]


def judged(form, text):
    """The document in ``text``, which must be what its schema says."""
    text.encode()
    if form is Format.JUNIT:
        JUNIT.validate(text)
        return ET.fromstring(text)  # noqa: S314 - our own
    document = json.loads(text)
    schema = {Format.SARIF: SARIF, Format.GITLAB: GITLAB, Format.JSON: FINDINGS}[form]
    assert [error.message for error in schema.iter_errors(document)] == []
    return document


DOCUMENTS = [Format.JSON, Format.SARIF, Format.GITLAB, Format.JUNIT]


def hostile(words, at, waived=""):
    related = (Related(at, words),) if at else ()
    return Finding(
        "MSH1006", "invalid-value", Severity.ERROR, f"m{words}", at, words, words, related, "", waived
    )


def test_the_schemas_are_not_content_with_anything():
    assert list(SARIF.iter_errors({"version": "2.1.0", "runs": [{"tool": {}}]}))
    bad = {"tool": {"driver": {"name": "a", "rules": [{"id": "a", "helpUri": "not a uri"}]}}}
    assert [error.validator for error in SARIF.iter_errors({"version": "2.1.0", "runs": [bad]})] == ["format"]
    assert list(GITLAB.iter_errors([{"description": "a"}]))
    assert not JUNIT.is_valid("<testsuites><testsuite name='a'/></testsuites>")


def test_every_format_has_a_renderer():
    assert list(RENDERERS) == list(Format)


@pytest.mark.parametrize("words", HOSTILE)
@pytest.mark.parametrize("at", PLACES, ids=str)
@pytest.mark.parametrize("form", Format)
def test_hostile_words_stay_words(form, at, words):
    found = [hostile(words, at), hostile(words, at, waived=f"w{words}")]
    if form is Format.GITLAB and at == PLACES[3]:
        found = []  # outside of the repository there is nothing to link to
    text = RENDERERS[form](found, Context(command="meshctl validate"))
    assert all(line.isprintable() for line in text.split("\n")) or form in (
        Format.JSON,
        Format.SARIF,
        Format.GITLAB,
    )
    if form in DOCUMENTS:
        judged(form, text)
    if form is Format.GITHUB:
        assert re.fullmatch(r"(::(error|notice) title=[^:\n]+(,[a-z]+=[^:,\n]+)*::[^\n]+\n){2}", text)
    if form is Format.TEXT:
        beginnings = [line for line in text.splitlines() if not line.startswith("    ")]
        assert len(beginnings) == 2


FAULTY = """\
apiVersion: meshctl.dev/v1
mesh:
  name: shop
  domain: shop.mesh
  trustDomain: shop.example
services:
  web:
    port: 80
    endpoints: [{address: 10.0.0.1}]
    calls: {db: {}, nobody: {}}
    waive: [{finding: route-to-empty-pool, reason: soon, owner: me, until: 2027-01-01}]
  db: {}
  api:
    calls: {db: {}}
"""


@pytest.fixture
def told(tmp_path, monkeypatch, capsys):
    """What a command prints of a spec in a format, and its exit code."""
    monkeypatch.chdir(tmp_path)

    def told(spec, form, *arguments):
        Path("mesh.yaml").write_text(spec, "utf-8")
        code = run([*(arguments or ("validate",)), "--format", form])
        return code, capsys.readouterr().out

    return told


@pytest.mark.parametrize(
    "command", [("validate",), ("lint",), ("build", "--verify", "none")], ids=lambda c: c[0]
)
@pytest.mark.parametrize("form", DOCUMENTS)
@pytest.mark.parametrize("old", ["", ", nobody: {}", "port: 80", "mesh:\n"])
def test_what_commands_print_is_as_the_schema_says(told, command, form, old):
    code, text = told(FAULTY.replace(old, "") if old else FAULTY, form, *command)
    judged(Format(form), text)
    assert code == (0 if old == ", nobody: {}" else 2 if old == "mesh:\n" else 1)


def test_sarif_declares_every_rule_and_points_into_it(told):
    policies = Path("own")
    policies.mkdir()
    own = (ROOT / "tests/cli/mistakes/policy-error-01/policies").glob("*.yaml")
    for path in own:
        (policies / path.name).write_bytes(path.read_bytes())
    _, text = told(FAULTY, "sarif", "lint", "--policies", "own")
    (result,) = judged(Format.SARIF, text)["runs"]
    rules = result["tool"]["driver"]["rules"]
    declared = {rule["id"] for rule in rules}
    assert {code.code for code in CODES.values()} < declared
    assert {rule.code for rule in pipeline.rules(policies)} == declared
    assert any(not code.startswith("MSH") for code in declared)
    assert result["columnKind"] == "unicodeCodePoints"
    for each in result["results"]:
        assert rules[each["ruleIndex"]]["id"] == each["ruleId"]


def test_sarif_says_where_how_grave_and_what_was_accepted(told):
    _, text = told(FAULTY, "sarif")
    results = judged(Format.SARIF, text)["runs"][0]["results"]
    told_of = [
        (
            each["ruleId"],
            each["level"],
            each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            *each["locations"][0]["physicalLocation"]["region"].values(),
            *(suppression["justification"] for suppression in each.get("suppressions", ())),
        )
        for each in results
    ]
    assert told_of == [
        ("MSH2003", "warning", "mesh.yaml", 10, 13, "soon (me, until 2027-01-01)"),
        ("MSH1002", "error", "mesh.yaml", 10, 21),
        ("MSH2003", "warning", "mesh.yaml", 14, 13),
    ]


def test_columns_count_code_points(told):
    line = 'mesh: {name: shop, domain: shop.mesh, trustDomain: "😀", nme: x}'
    _, text = told(f"apiVersion: meshctl.dev/v1\n{line}\n", "sarif")
    places = {
        each["ruleId"]: each["locations"][0]["physicalLocation"]["region"]["startColumn"]
        for each in judged(Format.SARIF, text)["runs"][0]["results"]
    }
    assert places["MSH1001"] == line.index("nme") + 1


def test_a_path_becomes_a_uri():
    found = [finding("missing-key", at, "m") for at in PLACES]
    log = judged(Format.SARIF, RENDERERS[Format.SARIF](found, Context(spec="mesh")))
    uris = [
        each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for each in log["runs"][0]["results"]
    ]
    assert uris[0] == "mesh"
    assert uris[1] == "a%20b/%5Cudcff%3A%C3%A4%25.yaml"
    assert uris[2:] == ["mesh.yaml", "file:///a/m.yaml"]


def test_braces_of_the_user_are_no_placeholders():
    found = [Finding("MSH1006", "invalid-value", Severity.ERROR, "`{0}` and `{a: b}`", fix="no")]
    log = judged(Format.SARIF, RENDERERS[Format.SARIF](found, Context()))
    assert log["runs"][0]["results"][0]["message"]["text"] == "`{{0}}` and `{a: b}`. no"


def test_related_places_are_told():
    found = [
        finding(
            "duplicate-key",
            Position("m.yaml", 2, 1),
            "m",
            related=(Related(Position("m.yaml", 1, 1), "first"),),
        )
    ]
    log = judged(Format.SARIF, RENDERERS[Format.SARIF](found, Context()))
    (related,) = log["runs"][0]["results"][0]["relatedLocations"]
    assert related["physicalLocation"]["region"] == {"startLine": 1, "startColumn": 1}
    assert related["message"] == {"text": "first"}


def marks(told, spec, form):
    document = judged(form, told(spec, form)[1])
    if form is Format.GITLAB:
        return {each["fingerprint"]: each["check_name"] for each in document}
    return {
        each["partialFingerprints"]["meshctl/v1"]: each["ruleId"] for each in document["runs"][0]["results"]
    }


SHAPELESS = FAULTY.replace("api:\n", "api:\n    routes: [{name: a, timeout: 5}, {name: b, timeout: 6}]\n")


@pytest.mark.parametrize("form", [Format.SARIF, Format.GITLAB])
@pytest.mark.parametrize(
    ("before", "old", "new"),
    [
        (FAULTY, "services:", "\n# a comment\nservices:"),
        (FAULTY, "  db: {}\n", "\n\n  db: {}\n\n"),
        (FAULTY, "calls: {db: {}, nobody: {}}", "calls: {nobody: {}, db: {}}"),
        (SHAPELESS, "[{name: a, timeout: 5}", "[{name: new}, {name: a, timeout: 5}"),
    ],
)
def test_a_fingerprint_outlives_a_move(told, form, before, old, new):
    first = marks(told, before, form)
    assert old in before
    assert marks(told, before.replace(old, new), form) == first


@pytest.mark.parametrize("form", [Format.SARIF, Format.GITLAB])
def test_a_fingerprint_outlives_a_move_to_another_file(told, tmp_path, capsys, form):
    first = marks(told, FAULTY, form)
    top, _, services = FAULTY.partition("services:\n")
    Path("mesh").mkdir()
    Path("mesh/top.yaml").write_text(top, "utf-8")
    Path("mesh/all.yaml").write_text(f"services:\n{services}", "utf-8")
    assert marks(lambda _, form: told(FAULTY, form, "validate", "mesh"), FAULTY, form) == first


@pytest.mark.parametrize("form", [Format.SARIF, Format.GITLAB])
def test_different_findings_have_different_fingerprints(told, form):
    for spec in (FAULTY, SHAPELESS):
        assert len(marks(told, spec, form)) == len(json.loads(told(spec, "json")[1])["findings"]) > 1
    alike = [hostile("", PLACES[1])] * 3 + [hostile("", PLACES[2])]
    document = json.loads(RENDERERS[Format.GITLAB](alike, Context()))
    assert len({each["fingerprint"] for each in document}) == 4
    elsewhere = marks(told, FAULTY.replace("nobody", "noone"), form).keys()
    assert len(marks(told, FAULTY, form).keys() & elsewhere) == 2


def test_gitlab_says_how_grave_and_what_was_accepted(told):
    _, text = told(FAULTY, "gitlab")
    entries = [
        (
            each["check_name"],
            each["severity"],
            each["location"]["lines"]["begin"],
            "(waived: soon" in each["description"],
        )
        for each in judged(Format.GITLAB, text)
    ]
    assert entries == [
        ("MSH2003 route-to-empty-pool", "info", 10, True),
        ("MSH1002 undefined-reference", "critical", 10, False),
        ("MSH2003 route-to-empty-pool", "minor", 14, False),
    ]


@pytest.mark.parametrize(
    ("fail_on", "failures", "passed"), [("error", 1, 1), ("warning", 2, 0), ("never", 0, 2)]
)
def test_junit_fails_what_the_command_fails(told, fail_on, failures, passed):
    code, text = told(FAULTY, "junit", "validate", "--fail-on", fail_on)
    suite = judged(Format.JUNIT, text).find("testsuite")
    assert suite.get("name") == "meshctl validate"
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", str(failures), "1")
    assert len(suite.findall(".//failure")) == failures
    assert len(suite.findall(".//skipped")) == 1
    assert len(suite.findall(".//system-out")) == passed
    assert code == int(failures > 0)


def test_junit_of_a_good_spec_has_a_test_that_passes(told):
    _, text = told(
        FAULTY.replace("db: {}, nobody: {}", "").replace("{db: {}}", "{}").partition("    waive")[0], "junit"
    )
    (suite,) = judged(Format.JUNIT, text)
    (case,) = suite
    assert (suite.get("tests"), suite.get("failures"), list(case)) == ("1", "0", [])


def test_a_build_for_machines_keeps_standard_output_for_the_findings(told, capsys):
    good = FAULTY.replace(", nobody: {}", "")
    assert run_build(good, "--format", "json", capsys=capsys)[1].startswith("{")
    _, out, err = run_build(good, "--format", "json", "--out", "other", capsys=capsys)
    assert json.loads(out)["summary"]["error"] == 0
    assert "+ other/api/README" in err
    _, out, err = run_build(good, "--format", "json", "--emit", "ir", capsys=capsys)
    assert "sidecars" in json.loads(out)
    assert '"findings"' in err


def run_build(spec, *arguments, capsys):
    Path("mesh.yaml").write_text(spec, "utf-8")
    code = run(["build", "--verify", "none", *arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_a_link_is_given_once_for_each_code(told):
    _, text = told(SHAPELESS, "text")
    assert (text.count("MSH1006"), text.count("why:"), text.count("docs:")) == (2, 1, 1)
    _, text = told(FAULTY, "text")
    assert re.findall(r"docs: (\S+)", text) == ["docs/findings.md#msh1002", "docs/findings.md#msh2003"]
    page = findings_page()
    assert all(f"\n### {code.code}\n" in page for code in CODES.values())
