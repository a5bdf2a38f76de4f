"""How commands end, whatever they are given: exit codes, streams, interruption, and a quick --version."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from meshctl import pipeline
from meshctl.cli.app import COMMANDS, run
from meshctl.cli.formats import Format
from meshctl.cli.help import HELP

SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services:
  web: {port: 8080, endpoints: [{address: 10.0.0.1}], calls: {catalog: {}}}
  catalog: {port: 8080, endpoints: [{address: 10.0.0.2}], timeout: 3s}
"""


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mesh.yaml").write_text(SPEC, "utf-8")


def git(*arguments):
    quiet = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *quiet, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository():
    git("init", "-q", ".")
    git("add", "mesh.yaml")
    git("commit", "-qm", "first")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["validate"], 0),
        (["lint"], 0),
        (["lint", "--fail-on", "warning"], 0),
        (["validate", "absent.yaml"], 2),
        (["lint", "absent.yaml"], 2),
        (["lint", "--policies", "absent"], 2),
        (["build", "absent.yaml"], 2),
        (["validate", "--no-such-option"], 2),
        (["no-such-command"], 2),
        (["validate", "--format", "xml"], 2),
        (["diff"], 2),
        (["diff", "--end-of-options"], 2),
        (["build", "--service", "nobody"], 2),
        (["build", "--proxy", "squid"], 2),
        (["validate", "nowhere:mesh.yaml"], 2),
        (["validate", "a\x1b[31m\nb"], 2),
        (["validate", "x" * 300], 2),
        (["validate", "/dev/null"], 2),
        (["validate", ""], 2),
    ],
)
def test_how_it_ends(arguments, code, capsys):
    assert run(arguments) == code
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    assert "\x1b[31m" not in printed.err + printed.out
    if code == 2:
        assert printed.err
        assert printed.out == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_stands_in_the_help_of_all(name, capsys):
    assert run([name, "--help"]) == 0
    assert "--help" in capsys.readouterr().out
    assert f"  {name} " in HELP


def test_diff_tells_and_ends_with_1(repository, capsys):
    assert run(["diff"]) == 0
    assert capsys.readouterr().out == ""
    Path("mesh.yaml").write_text(f"# a comment\n{SPEC}", "utf-8")
    assert run(["diff"]) == 0
    capsys.readouterr()
    Path("mesh.yaml").write_text(SPEC.replace("3s", "2s"), "utf-8")
    assert run(["diff"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "~ service catalog",
        "    ~ route default",
        "        ~ timeout: 3s -> 2s",
        "sidecars to deploy:",
        "  ~ web",
    ]
    git("commit", "-qam", "second")
    assert run(["diff"]) == 0
    assert run(["diff", "HEAD~1"]) == 1
    assert run(["diff", "HEAD~1", "HEAD"]) == 1
    assert run(["diff", "HEAD", "HEAD"]) == 0
    capsys.readouterr()


def test_diff_works_from_a_folder_below(repository, monkeypatch, capsys):
    Path("below").mkdir()
    monkeypatch.chdir("below")
    Path("../mesh.yaml").write_text(SPEC.replace("3s", "2s"), "utf-8")
    assert run(["diff", "--spec", "../mesh.yaml"]) == 1
    assert run(["diff", "--spec", str(Path("../mesh.yaml").resolve())]) == 1
    capsys.readouterr()


def test_diff_of_a_folder(repository, capsys):
    Path("mesh").mkdir()
    top, _, services = SPEC.partition("services:\n")
    Path("mesh/top.yaml").write_text(top, "utf-8")
    Path("mesh/services.yaml").write_text(f"services:\n{services}", "utf-8")
    git("add", "mesh")
    git("commit", "-qm", "split")
    assert run(["diff", "--spec", "mesh"]) == 0
    Path("mesh/services.yaml").write_text(f"services:\n{services.replace('3s', '2s')}", "utf-8")
    assert run(["diff", "--spec", "mesh"]) == 1
    capsys.readouterr()


def test_diff_of_rendered_files(repository, capsys):
    Path("mesh.yaml").write_text(SPEC.replace("3s", "2s"), "utf-8")
    assert run(["diff", "--rendered"]) == 1
    out = capsys.readouterr().out
    assert "--- a/web/README" in out
    assert "+++ b/web/README" in out
    assert "a/catalog/" not in out
    assert run(["diff", "--rendered", "--format", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert {each["path"].partition("/")[0] for each in document["files"]} == {"web"}


@pytest.mark.parametrize("old_is_bad", [True, False])
def test_diff_of_a_spec_that_is_not_valid_ends_with_2_and_the_findings(repository, capsys, old_is_bad):
    Path("mesh.yaml").write_text(SPEC.replace("timeout: 3s", "timout: 3s"), "utf-8")
    if old_is_bad:
        git("commit", "-qam", "bad")
        Path("mesh.yaml").write_text(SPEC, "utf-8")
    assert run(["diff"]) == 2
    printed = capsys.readouterr()
    assert "MSH1001 unknown-key" in printed.err
    assert "5 |" in printed.err
    assert printed.out == ""


def test_a_revision_cannot_be_an_option_or_a_path(repository, capsys):
    for revision in ("--output=x", "HEAD:mesh.yaml", "", "HEAD --", "\x1b[31m"):
        assert run(["diff", "--", revision]) == 2
    assert sorted(path.name for path in Path().iterdir()) == [".git", "mesh.yaml"]
    assert "\x1b[31m" not in capsys.readouterr().err


HOSTILE = [
    "../up",
    "a/b",
    "a b",
    "-o",
    "a\\nb",
    "a\\u0000b",
    "A",
    "ä",
    "a.b",
    "$(touch x)",
    "%{x}",
    "{{ 7*7 }}",
    "x" * 64,
    "-",
    "a-",
    "",
    "::error::x",
]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    "place",
    [
        'services: {"NAME": {port: 80, endpoints: [{address: 10.0.0.1}]}}',
        'services: {web: {port: 80, endpoints: [{address: 10.0.0.1, subset: "NAME"}]}}',
        'services: {web: {port: 80, calls: {"NAME": {}}}}',
        'services: {web: {port: 80, endpoints: [{address: 10.0.0.1}], routes: [{name: "NAME"}]}}',
        'services: {web: {port: 80, endpoints: [{address: "NAME"}]}}',
    ],
)
def test_a_hostile_name_is_refused_and_nothing_is_written(capsys, name, place):
    top = "apiVersion: meshctl.dev/v1\nmesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}\n"
    Path("mesh.yaml").write_text(top + place.replace("NAME", name) + "\n", "utf-8")
    for form in Format:
        assert run(["validate", "--format", form]) == 1
    printed = capsys.readouterr()
    assert run(["build", "-o", "out", "--verify", "none"]) == 1
    assert sorted(path.name for path in Path().iterdir()) == ["mesh.yaml"]
    assert "\x00" not in printed.out + printed.err
    assert not any(line.startswith("::error::") for line in printed.out.splitlines())


def test_a_bug_is_told_as_such(monkeypatch, capsys):
    def broken(*_, **__):
        raise RuntimeError("boom")

    monkeypatch.setattr(pipeline, "validate", broken)
    assert run(["validate"]) == 3
    assert "a bug in meshctl, not in your spec: RuntimeError: boom" in capsys.readouterr().err
    with pytest.raises(RuntimeError):
        run(["--debug", "validate"])


@pytest.mark.parametrize("out", ["file", "file/below", "/dev/full/below"])
def test_what_the_system_refuses_is_not_called_a_bug(out, capsys):
    Path("file").write_text("mine", "utf-8")
    assert run(["build", "-o", out, "--verify", "none"]) == 2
    assert capsys.readouterr().err == f"meshctl: {out}/manifest.json: Not a directory\n"
    with pytest.raises(NotADirectoryError):
        run(["--debug", "build", "-o", out, "--verify", "none"])


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("capabilities >/dev/full", 2),
        ("validate >&-", 0),
        ("validate >&- 2>&-", 0),
        ("build --verify none >&-", 0),
    ],
)
def test_an_output_that_takes_nothing(words, code):
    script = f'"$0" -m meshctl {words}'
    ran = subprocess.run(["sh", "-c", script, sys.executable], capture_output=True, text=True, check=False)
    assert ran.returncode == code
    assert "Traceback" not in ran.stderr
    assert "a bug in meshctl" not in ran.stderr


@pytest.mark.parametrize("words", [["capabilities"], ["build", "--verify", "none", "--emit", "ir"]])
def test_a_reader_that_has_gone_is_not_a_finding(words):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "meshctl", *words]
    with os.fdopen(writer) as out:
        ran = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, check=False)
    assert ran.returncode == 141
    assert ran.stderr == ""


def test_a_terminal_that_lacks_a_letter_shows_its_code():
    Path("mesh.yaml").write_text(SPEC.replace("timeout: 3s", "timeout: 3\u20ac"), "utf-8")
    poor = os.environ | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "meshctl", "validate"]
    ran = subprocess.run(command, env=poor, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "not `3\\u20ac`" in ran.stdout


def test_up_points_to_validate_for_nothing_that_it_shows_itself(capsys):
    Path("mesh.yaml").write_text(SPEC.replace("3s", "3"), "utf-8")
    assert run(["up"]) == 1
    assert capsys.readouterr().err.endswith("docs/findings.md#msh1006\n1 error\n")


def test_an_interrupt_ends_with_130():
    # A git that never answers stands in front of the real one.
    Path("git").write_text("#!/bin/sh\ntouch started\nsleep 60\n", "utf-8")
    Path("git").chmod(0o755)
    path = f"{Path.cwd()}:{os.environ['PATH']}"
    command = [sys.executable, "-m", "meshctl", "validate", "HEAD:mesh.yaml"]
    with subprocess.Popen(
        command, env=os.environ | {"PATH": path}, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        while not Path("started").exists():
            assert process.poll() is None
        # As a terminal does it: to all of the foreground's processes.
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in err


def test_an_interrupt_that_a_library_makes_an_error_of_ends_with_130(monkeypatch, capsys):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "validate", lambda *_, **__: orjson.dumps(object(), default=interrupted))
    assert run(["validate"]) == 130
    assert capsys.readouterr().err == ""
