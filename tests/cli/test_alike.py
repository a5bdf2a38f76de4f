"""Warnings that say one thing of many places are told once to a person, and each to a machine; errors always."""

from __future__ import annotations

import json

import pytest

from meshctl.cli.app import run

SERVICES = "\n".join(
    f"  s{number}: {{port: 8080, timeout: 1s, endpoints: [{{address: 10.0.0.{number}}}]}}"
    for number in range(1, 9)
)
CALLS = ", ".join(f"s{number}: {{}}" for number in range(1, 9))
HEAD = "apiVersion: meshctl.dev/v1\nmesh: {name: shop, domain: shop.mesh, trustDomain: shop.example, proxy: %s}\nservices:\n"


@pytest.fixture
def validate(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def validate(text, form):
        (tmp_path / "mesh.yaml").write_text(text)
        run(["validate", "--format", form])
        return capsys.readouterr().out

    return validate


WARNED = HEAD % "haproxy" + f"{SERVICES}\n  web: {{calls: {{{CALLS}}}}}\n"


def test_a_person_reads_it_once_with_the_number_of_places(validate):
    told = validate(WARNED, "text")
    assert told.count("MSH7002") == 1
    assert "and at 4 more places" in told


def test_a_machine_gets_every_place(validate):
    lines = {each["at"]["line"] for each in json.loads(validate(WARNED, "json"))["findings"]}
    assert lines == set(range(4, 12))
    assert validate(WARNED, "github").count("::warning") == 8


@pytest.mark.parametrize("form", ["text", "json", "github"])
def test_no_error_is_merged_into_another(validate, form):
    many = "\n".join(
        f"  s{number}: {{port: 8080, endpoints: [{{address: 10.0.0.{number}}}], "
        "retries: {attempts: 10, retryOn: [connect-failure]}}"
        for number in range(1, 9)
    )
    told = validate(HEAD % "nginx" + f"{many}\n  web: {{calls: {{{CALLS}}}}}\n", form)
    assert told.count("MSH7001") == 8


def test_a_long_line_is_shown_where_the_fault_is_and_fits_a_terminal(validate):
    told = validate(
        HEAD % "envoy" + f"  web: {{owner: {'b' * 99}, timout: 5s, calls: {{{CALLS}}}}}\n", "text"
    )
    line, caret = told.splitlines()[1:3]
    assert max(len(line), len(caret)) <= 80
    assert line[caret.index("^") : caret.rindex("^") + 1] == "timout"
