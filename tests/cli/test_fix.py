"""`lint --fix` makes the files that are expected, byte for byte, and nothing where it cannot prove that all stays as it is.

A folder of ``fixes`` holds a spec and, as ``fixed.txt``, what ``mesh.yaml`` is afterwards; ``told.txt`` is what is said of it.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from jsonschema import Draft4Validator, Draft202012Validator

from meshctl import pipeline
from meshctl.cli.app import run
from meshctl.pipeline import fixing

ROOT = Path(__file__).resolve().parents[2]
FIXES = Path(__file__).parent / "fixes"
CASES = sorted(each.name for each in FIXES.iterdir())
UNSAFE = {"keys"}
WASTE = """\
apiVersion: meshctl.dev/v1
mesh:
  name: shop
  domain: shop.mesh
  trustDomain: shop.example
  mtls: {mode: strict, until: 2027-01-01}  # why
services:
  web: {port: 8080, endpoints: [{address: 10.0.0.1}]}
"""
MENDED = WASTE.replace(", until: 2027-01-01", "")
WAIVED = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services:
  web:
    port: 8080
    endpoints: [{address: 10.0.0.1}]
    calls: {a: {}, b: {}}
    waive: [{finding: fan-out, reason: x, owner: team, until: 2099-01-01}]
  a: {port: 8080, endpoints: [{address: 10.0.0.2}]}
  b: {port: 8080, endpoints: [{address: 10.0.0.3}]}
"""


def lint(*words: str) -> int:
    return run(["lint", "--fail-on", "never", *words])


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mesh.yaml"
    path.write_text(WASTE)
    return path


@pytest.mark.parametrize("case", CASES)
def test_files_are_fixed(case, tmp_path, monkeypatch, capsys):
    shutil.copytree(FIXES / case, tmp_path / "mesh")
    monkeypatch.chdir(tmp_path / "mesh")
    own = ["--unsafe-fixes"] if case in UNSAFE else []
    before, expected = (FIXES / case / "mesh.yaml").read_bytes(), (FIXES / case / "fixed.txt").read_bytes()
    differs = run(["lint", "--diff", *own, "."])
    patch, told = capsys.readouterr()
    assert told == (FIXES / case / "told.txt").read_text()
    assert Path("mesh.yaml").read_bytes() == before
    assert differs == (before != expected)
    lint("--fix", *own, ".")
    assert Path("mesh.yaml").read_bytes() == expected
    capsys.readouterr()
    lint("--fix", *own, ".")
    assert Path("mesh.yaml").read_bytes() == expected
    assert "fixed" not in capsys.readouterr().err.replace("not fixed", "")
    if patch:
        Path("mesh.yaml").write_bytes(before)
        subprocess.run(["git", "apply", "-p1", "-"], input=patch, text=True, check=True)
        assert Path("mesh.yaml").read_bytes() == expected


def test_it_is_said_what_can_be_fixed(spec, capsys):
    assert lint("mesh.yaml") == 0
    out, told = capsys.readouterr()
    assert "MSH3004 ineffective-setting [*]: " in out
    assert "[*] `meshctl lint --fix` may mend it" in told
    lint("--fix", "mesh.yaml")
    assert "fixed 1: 1 ineffective-setting" in capsys.readouterr().err
    lint("mesh.yaml")
    assert "[*]" not in "".join(capsys.readouterr())


def test_what_is_not_safe_is_done_for_those_who_ask(spec, capsys):
    spec.write_text(MENDED.replace("endpoints", "endpionts"))
    assert run(["lint", "--fix", "mesh.yaml"]) == 1
    assert "nothing to fix\n1 more with --unsafe-fixes\n" in capsys.readouterr().err
    assert spec.read_text() == MENDED.replace("endpoints", "endpionts")
    assert run(["lint", "--fix", "--unsafe-fixes", "mesh.yaml"]) == 0
    assert spec.read_text() == MENDED


def test_what_a_rename_brings_to_light_is_fixed_too(spec):
    spec.write_text(WASTE.replace("endpoints", "endpionts"))
    assert lint("--fix", "--unsafe-fixes", "mesh.yaml") == 0
    assert spec.read_text() == MENDED


@pytest.mark.parametrize(
    ("newline", "mark", "end"), [("\n", "\ufeff", ""), ("\r\n", "", ""), ("\r\n", "\ufeff", "\n\n# end")]
)
def test_line_ends_and_marks_stay(spec, newline, mark, end):
    def written(text: str) -> bytes:
        content: bytes = (mark + text.rstrip("\n") + end).replace("\n", newline).encode()
        return content

    spec.write_bytes(written(WASTE))
    lint("--fix", "mesh.yaml")
    assert spec.read_bytes() == written(MENDED)


def test_modes_stay_and_nothing_is_left_behind(spec):
    spec.chmod(0o640)
    lint("--fix", "mesh.yaml")
    assert spec.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in Path().iterdir()] == ["mesh.yaml"]


def test_links_are_left_alone(spec, tmp_path, capsys):
    other = tmp_path / "elsewhere"
    for link, why in ((Path.symlink_to, "symbolic link"), (Path.hardlink_to, "second name")):
        spec.rename(other)
        link(spec, other)
        lint("--fix", "mesh.yaml")
        assert (
            f"MSH3004 is not fixed: the file {'is a' if why[:3] == 'sym' else 'has a'} {why}"
            in capsys.readouterr().err
        )
        assert other.read_text() == WASTE
        spec.unlink()
        other.rename(spec)


def test_a_file_that_changes_meanwhile_is_left_alone(spec, monkeypatch, capsys):
    fix = fixing.fix

    def slow(*words, **more):
        fixed = fix(*words, **more)
        spec.write_text(WASTE + "# mine\n")
        return fixed

    monkeypatch.setattr(pipeline, "fix", slow)
    assert run(["lint", "--fix", "mesh.yaml"]) == 2
    assert "mesh.yaml: it was changed meanwhile; nothing was fixed" in capsys.readouterr().err
    assert spec.read_text() == WASTE + "# mine\n"
    assert [each.name for each in Path().iterdir()] == ["mesh.yaml"]


def test_a_file_that_cannot_be_written_is_left_alone(spec, monkeypatch, capsys):
    def full(source, target):
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr("os.replace", full)
    assert run(["lint", "--fix", "mesh.yaml"]) == 2
    assert "mesh.yaml: No space left on device" in capsys.readouterr().err
    assert [each.name for each in Path().iterdir()] == ["mesh.yaml"]
    assert spec.read_text() == WASTE


@pytest.mark.parametrize("content", [None, "{"])
def test_nothing_is_fixed_where_the_baseline_cannot_be_read(spec, content, capsys):
    if content is not None:
        Path("b.json").write_text(content)
    assert lint("--fix", "--baseline", "b.json") == 2
    assert "b.json" in capsys.readouterr().err
    assert spec.read_text() == WASTE


@pytest.mark.parametrize("more", [(), ("--update-baseline",)])
@pytest.mark.parametrize("other", [{"mesh": "mall"}, {"environment": "prod"}])
def test_nothing_is_fixed_beside_the_baseline_of_something_else(spec, other, more, capsys):
    assert lint("--baseline", "b.json", "--update-baseline") == 0
    content = json.dumps(json.loads(Path("b.json").read_text()) | other)
    Path("b.json").write_text(content)
    assert lint("--fix", "--baseline", "b.json", *more) == 2
    assert "b.json" in capsys.readouterr().err
    assert (spec.read_text(), Path("b.json").read_text()) == (WASTE, content)


def test_what_git_holds_is_not_fixed(spec, capsys):
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (("init", "-q", "."), ("add", "."), (*who, "commit", "-qm", "a")):
        subprocess.run(["git", *words], check=True)
    assert run(["lint", "--fix", "HEAD:mesh.yaml"]) == 2
    assert "only files of the work tree can be fixed" in capsys.readouterr().err
    assert run(["lint", "--format", "json", "HEAD:mesh.yaml"]) == 0
    assert json.loads(capsys.readouterr().out)["findings"][0]["edit"] is None


def test_a_file_that_cannot_be_read_is_no_empty_diff(spec, capsys):
    spec.write_text("a: [")
    assert run(["lint", "--diff", "mesh.yaml"]) == 2
    assert "MSH0001" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [["--fix"], ["--format", "json"], ["--fail-on", "never"], ["--baseline", "b.json"]],
)
def test_a_patch_goes_with_nothing_that_would_do_nothing(spec, capsys, words):
    assert run(["lint", "--diff", *words, "mesh.yaml"]) == 2
    assert f"so {words[0]} would do nothing beside it" in capsys.readouterr().err
    assert spec.read_text() == WASTE


def test_a_waiver_that_another_profile_needs_stays(tmp_path, monkeypatch, capsys):
    """It would be told if the profile `far` were asked, whose limit is lower."""
    monkeypatch.chdir(tmp_path)
    Path("own").mkdir()
    profile = "apiVersion: meshctl.dev/v1\nkind: Profile\nname: far\ntitle: t\nrules: {fan-out: {most: 1}}\n"
    Path("own/far.yaml").write_text(profile)
    Path("mesh.yaml").write_text(WAIVED)
    assert lint("--fix", "--policies", "own", "mesh.yaml") == 0
    assert Path("mesh.yaml").read_text() == WAIVED
    told = capsys.readouterr().err
    assert (
        "is not fixed: in the spec without an environment by the profile `far`: then there would be: fan-out"
        in told
    )
    lint("--fix", "mesh.yaml")
    assert "waive" not in Path("mesh.yaml").read_text()


def test_documents_carry_the_edits(tmp_path, monkeypatch, capsys):
    shutil.copytree(FIXES / "settings", tmp_path / "mesh")
    monkeypatch.chdir(tmp_path / "mesh")
    text = Path("mesh.yaml").read_text()
    lint("--format", "json", ".")
    document = json.loads(capsys.readouterr().out)
    schema = json.loads((ROOT / "schemas" / "findings.schema.json").read_text())
    assert list(Draft202012Validator(schema).iter_errors(document)) == []
    edits = [each["edit"] for each in document["findings"] if each["edit"]]
    assert {each["file"] for each in edits} == {"mesh.yaml"}
    assert all(each["safe"] for each in edits)
    lint("--format", "sarif", ".")
    sarif = json.loads(capsys.readouterr().out)
    official = json.loads((ROOT / "tests" / "schemas" / "sarif-2.1.0-rtm.5.json").read_text())
    assert list(Draft4Validator(official).iter_errors(sarif)) == []
    fixes = [each for result in sarif["runs"][0]["results"] for each in result.get("fixes", ())]
    assert len(fixes) == len(edits) > 5
    first = next(each for each in edits if each["changes"][0]["from"]["line"] == 10)
    assert [_cut(text, each) for each in first["changes"]] == ["    until: 2027-01-01\n"]
    region = fixes[edits.index(first)]["artifactChanges"][0]["replacements"][0]["deletedRegion"]
    assert region == {"startLine": 10, "startColumn": 1, "endLine": 11, "endColumn": 1}


def _cut(text: str, change: dict[str, dict[str, int]]) -> str:
    lines = text.splitlines(keepends=True)
    begin, end = (
        sum(map(len, lines[: at["line"] - 1])) + at["column"] - 1 for at in (change["from"], change["to"])
    )
    return text[begin:end]


def test_proofs_are_bounded(spec, monkeypatch, capsys):
    monkeypatch.setattr(fixing, "MOST_PROOFS", 0)
    lint("--fix", "mesh.yaml")
    assert "is not fixed: not looked at: 0 proofs are the most for one run" in capsys.readouterr().err
    assert spec.read_text() == WASTE


def test_every_kind_that_is_marked_has_a_case():
    marked = {each.slug for each in pipeline.rules() if each.fixable}
    told = " ".join((FIXES / case / "told.txt").read_text() for case in CASES)
    assert {slug for slug in marked if not re.search(rf"would fix .*\b{slug}", told)} == set()
