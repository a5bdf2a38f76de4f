"""Every code can be explained, by any of its names, and the examples are what they say they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from meshctl import lint, pipeline
from meshctl.catalogue import CODES
from meshctl.cli.app import run
from meshctl.cli.examples import EXAMPLES
from meshctl.load import read_yaml

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = Draft202012Validator(json.loads((ROOT / "schemas" / "rules.schema.json").read_text()))
OWN = ROOT / "tests/cli/mistakes/policy-error-01/policies"
AROUND = {
    "apiVersion": "apiVersion: meshctl.dev/v1\n",
    "mesh": "mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}\n",
}


def built_in():
    paths = sorted((ROOT / "policies").glob("*.yaml"))
    return lint.read_policies({path.name: read_yaml(path.read_bytes(), path.name) for path in paths}).policies


NAMES = [(each.code, each.slug) for each in (*CODES.values(), *built_in())]


@pytest.mark.parametrize(("code", "slug"), NAMES)
def test_every_code_is_explained_by_all_its_names(capsys, code, slug):
    told = set()
    for name in (code, code.lower(), slug, slug.upper()):
        assert run(["explain", name]) == 0
        told.add(capsys.readouterr().out)
    (text,) = told
    first, why, fix, *_ = text.splitlines()
    assert first.startswith(f"{code} {slug} (")
    assert why.startswith("why: ")
    assert fix.startswith("fix: ")
    assert text.endswith(f"docs: docs/findings.md#{code.lower()}\n")


def test_the_source_of_a_rule_is_told(capsys):
    for rule in built_in():
        assert run(["explain", rule.slug]) == 0
        assert (f"\nsource: {rule.origin}\n" in capsys.readouterr().out) == bool(rule.origin)
    assert run(["explain", "retry-at-several-layers", "--format", "json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["rules"]
    assert told["source"] == 'Google SRE Book, chapter 22, "Retries"'


def test_all_codes_are_listed(capsys):
    assert run(["explain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [tuple(line.split()[::2]) for line in lines] == sorted(NAMES)


def test_json_is_as_its_schema_says(capsys):
    for arguments in ([], ["missing-timeout"], ["yaml-syntax"], ["--policies", str(OWN)]):
        assert run(["explain", *arguments, "--format", "json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert list(SCHEMA.iter_errors(document)) == []
    assert any(each["docs"] == "" for each in document["rules"])
    assert {each["slug"] for each in document["rules"] if each["example"]} == EXAMPLES.keys()


def test_faulty_policies_are_told_where_they_are_asked_about(tmp_path, capsys):
    text = (ROOT / "policies" / "no-owner.yaml").read_text("utf-8")
    text = text.replace("MSH8106", "ACME0001").replace("no-owner", "acme")
    (tmp_path / "acme.yaml").write_text(text)
    assert run(["explain", "ACME0001", "--policies", str(tmp_path)]) == 0
    assert "ACME0001 acme" in capsys.readouterr().out
    (tmp_path / "acme.yaml").write_text(text.replace("!= ''", "!= 3"))
    for words, code in (([], 1), (["missing-timeout"], 1), (["ACME0001"], 2)):
        assert run(["explain", *words, "--policies", str(tmp_path)]) == code
        printed = capsys.readouterr()
        assert "policy-invalid" in printed.err
        assert bool(printed.out) == (code == 1)
    (tmp_path / "acme.yaml").write_text("a: [")
    assert run(["explain", "missing-timeout", "--policies", str(tmp_path)]) == 2


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("MSH70003", "did you mean MSH7003 not-yet-supported?"),
        ("retries-without-conditions", "did you mean MSH3001 retries-without-condition?"),
        ("Missing-Timout", "did you mean MSH3101 missing-timeout?"),
        ("\x1b[31mnonsense\n::error::", "`meshctl explain` lists all"),
        ("", "`meshctl explain` lists all"),
    ],
)
def test_what_is_no_code_is_a_usage_error_with_a_suggestion(capsys, word, hint):
    assert run(["explain", "--", word]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.isprintable()
    assert line.endswith(hint)


def found(part):
    """The slugs that `lint` finds in an example, with the rest of a spec put around it."""
    top = part.partition(":")[0]
    if top == "mesh":
        whole = YAML(typ="safe").load(part)["mesh"]
        inner = json.dumps({**YAML(typ="safe").load(AROUND["mesh"])["mesh"], **whole})
        part = f"mesh: {inner}\n"
    around = "".join(text for key, text in AROUND.items() if key != top)
    Path("mesh.yaml").write_text(around + part, "utf-8")
    run(["lint", "--format", "json"])


@pytest.mark.parametrize("slug", EXAMPLES)
def test_the_wrong_example_has_the_finding_and_the_right_one_not(tmp_path, monkeypatch, capsys, slug):
    monkeypatch.chdir(tmp_path)
    slugs = []
    for part in EXAMPLES[slug]:
        found(part)
        slugs.append({each["slug"] for each in json.loads(capsys.readouterr().out)["findings"]})
    wrong, right = slugs
    assert slug in wrong
    assert slug not in right
    assert not {"invalid-value", "unknown-key", "yaml-syntax", "empty-value"} & right


def test_examples_are_of_rules_that_exist():
    assert EXAMPLES.keys() <= {rule.slug for rule in pipeline.rules()}
