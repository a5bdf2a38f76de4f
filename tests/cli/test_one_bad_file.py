"""A file that cannot be read hides nothing that is wrong in the others, and puts nothing into them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from meshctl.cli.app import run

TOP = "apiVersion: meshctl.dev/v1\nmesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}\n"
WEB = "services:\n  web: {calls: {auth: {}}, timout: 1s}\n"
AUTH = "services:\n  auth: {port: 80, endpoints: [{address: 10.0.0.1}]}\n"


@pytest.fixture
def told(tmp_path, monkeypatch, capsys):
    """The findings in a folder of the given files, and the exit code."""
    monkeypatch.chdir(tmp_path)
    Path("mesh").mkdir()

    def told(*arguments, **files):
        for name, text in files.items():
            Path("mesh", f"{name}.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        code = run([*(arguments or ("validate",)), "mesh", "--format", "json"])
        findings = json.loads(capsys.readouterr().out)["findings"]
        return code, [(each["slug"], "{file}:{line}:{column}".format(**each["at"])) for each in findings]

    return told


@pytest.mark.parametrize(
    ("broken", "slug", "place"),
    [
        (AUTH + "  x: [\n", "yaml-syntax", "3:7"),
        (AUTH.encode() + b"\xff", "unreadable-file", "3:1"),
        (f"{AUTH}# \x1b\n", "hidden-character", "3:3"),
        (f"{AUTH}---\nservices: {{}}\n", "yaml-feature-refused", "3:1"),
        ("- a\n", "invalid-value", "1:1"),
    ],
)
@pytest.mark.parametrize("command", ["validate", "lint"])
def test_the_other_files_are_looked_at(told, command, broken, slug, place):
    code, findings = told(command, auth=broken, top=TOP, web=WEB)
    assert findings == [(slug, f"mesh/auth.yaml:{place}"), ("unknown-key", "mesh/web.yaml:2:28")]
    assert code == (2 if slug in ("yaml-syntax", "unreadable-file") else 1)


def test_two_bad_files_are_both_told(told):
    _, findings = told(a="a: [\n", b="b: {\n", top=TOP)
    assert [slug for slug, _ in findings] == ["yaml-syntax", "yaml-syntax"]


@pytest.mark.parametrize("lost", ["top", "web"])
def test_what_a_bad_file_may_hold_is_not_called_missing(told, lost):
    files = {"top": TOP, "web": AUTH} | {lost: {"top": TOP, "web": AUTH}[lost] + "x: ]\n"}
    _, findings = told(**files)
    assert [slug for slug, _ in findings] == ["yaml-syntax"]


def test_what_cannot_be_read_is_not_called_missing_as_well(told):
    _, findings = told(top=TOP, web="services:\n  web: {<<: {timeout: 1s}, timeout: *gone}\n")
    assert [slug for slug, _ in findings] == ["yaml-feature-refused", "yaml-syntax"]


def test_what_is_missing_from_files_that_can_be_read_is_told(told):
    _, findings = told(web=AUTH, other="services:\n  auth: {}\n")
    assert findings == [
        ("missing-key", "mesh:1:1"),
        ("missing-key", "mesh:1:1"),
        ("duplicate-definition", "mesh/web.yaml:2:3"),
    ]


def test_it_is_said_that_references_wait_for_the_shape(told, capsys):
    told(top=TOP, web=WEB)
    run(["validate", "mesh"])
    assert capsys.readouterr().err == "1 error; references and meaning were not checked\n"
    Path("mesh/web.yaml").write_text(WEB.replace("timout", "timeout"), "utf-8")
    run(["validate", "mesh"])
    printed = capsys.readouterr()
    assert "undefined-reference" in printed.out
    assert printed.err == "1 error\n"


@pytest.mark.parametrize(("web", "code"), [(WEB, 1), ("services: [\n", 2)])
def test_commands_that_need_a_valid_spec_show_the_line_too(told, capsys, web, code):
    told(top=TOP, web=web)
    assert run(["capabilities", "mesh"]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert web.splitlines()[-1] in printed.err
    assert "docs: docs/findings.md#msh" in printed.err
