"""`make check` tells of a generated file that is missing or edited by hand; `make generate` repairs it."""

import sys

import pytest

from scripts import generate


@pytest.fixture
def run(tmp_path, monkeypatch):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["generate.py", *arguments])
        return generate.main()

    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "GENERATORS", [("docs/made.md", lambda: "made\n")])
    return run


def test_a_missing_file_is_told_and_made(run, tmp_path, capsys):
    assert run("--check") == 1
    assert "docs/made.md" in capsys.readouterr().err
    assert run() == 0
    assert (tmp_path / "docs/made.md").read_text("utf-8") == "made\n"
    assert run("--check") == 0


def test_an_edited_file_is_told(run, tmp_path):
    run()
    (tmp_path / "docs/made.md").write_text("edited\n", encoding="utf-8")
    assert run("--check") == 1
