"""A baseline holds back what was there, and nothing else: by table, in every format, and whatever the file holds."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from meshctl.cli.app import run
from meshctl.cli.formats import Format
from meshctl.lint import baseline

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = Draft202012Validator(json.loads((ROOT / "schemas" / "baseline.schema.json").read_text()))
FINDINGS = Draft202012Validator(json.loads((ROOT / "schemas" / "findings.schema.json").read_text()))

MESH = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
lint: {profile: strict, rules: {missing-timeout: {severity: error}}}
services:
  web:
    port: 80
    endpoints: [{address: 10.0.0.1}]
    calls: {db: {}}
  db:
    port: 81
    endpoints: [{address: 10.0.0.2}]
"""
UPDATE = ("--baseline", "base.json", "--update-baseline")
USE = ("--baseline", "base.json")
OPEN = MESH.replace("  db:\n", "  db:\n    mtls: {mode: permissive, until: 2999-12-31}\n")
"""Its finding is of a mandatory rule."""
MORE = MESH.replace("calls: {db: {}}", "calls: {db: {}, api: {}}") + (
    "  api:\n    port: 82\n    endpoints: [{address: 10.0.0.3}]\n"
)


@pytest.fixture
def lint(tmp_path, monkeypatch, capsys):
    """Lints a text; gives the exit code and what was printed."""
    monkeypatch.chdir(tmp_path)

    def lint(spec, *arguments):
        Path("mesh.yaml").write_text(spec, "utf-8")
        code = run(["lint", *arguments])
        return code, capsys.readouterr()

    return lint


def slugs(lint, spec, *arguments):
    """Slugs of what is not held back."""
    code, printed = lint(spec, "--format", "json", *arguments)
    document = json.loads(printed.out)
    assert list(FINDINGS.iter_errors(document)) == []
    held = [each for each in document["findings"] if each.get("inBaseline")]
    assert len(held) == document["summary"].get("inBaseline", 0)
    return code, [each["slug"] for each in document["findings"] if each not in held]


def entries():
    return json.loads(Path("base.json").read_text("utf-8"))["findings"]


def test_what_was_there_is_held_back_and_what_is_new_is_told(lint):
    code, before = slugs(lint, MESH)
    assert code == 1
    assert len(set(before)) > 2
    assert slugs(lint, MESH, *UPDATE) == (0, [])
    assert slugs(lint, MESH, *USE) == (0, [])
    assert slugs(lint, MORE, *USE)[0] == 1
    assert "missing-timeout" in slugs(lint, MORE, *USE)[1]
    assert list(SCHEMA.iter_errors(json.loads(Path("base.json").read_text()))) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("services:", "# a comment\n\nservices:"),
        ("  db:\n    port: 81", "\n  db:\n\n    port: 81"),
        ("calls: {db: {}}", "calls:\n      db: {}"),
    ],
)
def test_lines_may_move(lint, old, new):
    lint(MESH, *UPDATE)
    assert old in MESH
    assert slugs(lint, MESH.replace(old, new), *USE) == (0, [])


def test_files_and_places_are_none_of_its_business(lint, tmp_path):
    """Not which file a thing stands in, nor from where and by which name the spec is linted."""
    lint(MESH, *UPDATE)
    written = Path("base.json").read_bytes()
    assert b"mesh.yaml" not in written
    assert str(tmp_path).encode() not in written
    (tmp_path / "all").mkdir()
    top, _, services = MESH.partition("services:\n")
    (tmp_path / "all" / "top.yaml").write_text(top)
    (tmp_path / "all" / "services.yaml").write_text(f"services:\n{services}")
    assert slugs(lint, MESH, str(tmp_path / "all"), *USE) == (0, [])
    lint(MESH, str(tmp_path / "all"), *UPDATE)
    assert Path("base.json").read_bytes() == written


def test_mandatory_rules_and_validate_are_never_held_back(lint):
    warnings = ("--fail-on", "warning")
    assert slugs(lint, OPEN, *UPDATE, *warnings) == (1, ["plaintext-or-permissive"])
    assert "plaintext-or-permissive" not in {each["slug"] for each in entries()}
    # Nor where somebody writes it in by hand.
    document = json.loads(Path("base.json").read_text())
    (found,) = (
        each
        for each in json.loads(lint(OPEN, "--format", "json")[1].out)["findings"]
        if each["slug"] == "plaintext-or-permissive"
    )
    entry = {"code": found["code"], "slug": found["slug"], "resource": "db", "message": found["message"]}
    document["findings"].append(entry)
    Path("base.json").write_text(json.dumps(document))
    assert slugs(lint, OPEN, *USE, *warnings) == (1, ["unused-baseline", "plaintext-or-permissive"])


def test_a_spec_with_errors_writes_nothing(lint):
    lint(MESH, *UPDATE)
    written = Path("base.json").read_bytes()
    wrong = MESH.replace("{db: {}}", "{db: {}, nobody: {}}")
    for arguments in (UPDATE, (*UPDATE, "--fail-on", "never")):
        code, printed = lint(wrong, *arguments)
        assert (code, "the baseline was not written" in printed.err) == (1, True)
    assert "MSH1002" in printed.out
    assert Path("base.json").read_bytes() == written
    assert lint(wrong, *USE)[0] == 1


def test_rules_that_cannot_be_asked_write_nothing(lint):
    lint(MESH, *UPDATE)
    written = Path("base.json").read_bytes()
    Path("own").mkdir()
    Path("own/broken.yaml").write_text("apiVersion: meshctl.dev/v1\nkind: Policy\n")
    code, printed = lint(MESH, *UPDATE, "--policies", "own")
    assert (code, "was not written" in printed.err) == (1, True)
    assert Path("base.json").read_bytes() == written


def test_what_is_mended_is_told_with_its_line_until_the_file_shrinks(lint):
    lint(MESH, *UPDATE)
    mended = MESH.replace("    port: 81", "    port: 81\n    timeout: 1s")
    code, printed = lint(mended, *USE)
    (line,) = (
        number
        for number, text in enumerate(Path("base.json").read_text().splitlines(), 1)
        if "missing-timeout" in text
    )
    assert code == 0
    assert f"base.json:{line}:1: warning MSH8005 unused-baseline: " in printed.out
    assert lint(mended, *USE, "--fail-on", "warning")[0] == 1
    count = len(entries())
    assert lint(mended, *UPDATE, "--fail-on", "warning")[0] == 0
    assert len(entries()) == count - 1
    assert slugs(lint, mended, *USE) == (0, [])


def test_a_waived_finding_needs_no_baseline(lint):
    lint(MESH, *UPDATE)
    waiver = "    waive: [{finding: missing-timeout, reason: r, owner: o, until: 2026-12-31}]\n"
    waived = MESH.replace("  db:\n", f"  db:\n{waiver}").replace("2026-12-31", "2999-12-31")
    code, told = slugs(lint, waived, *USE)
    assert "unused-baseline" in told
    lint(waived, *UPDATE)
    assert "missing-timeout" not in {each["slug"] for each in entries()}
    assert code == 0


def two_alike(count):
    """Own rule whose message is the same for every route of a service."""
    Path("own").mkdir(exist_ok=True)
    Path("own/named.yaml").write_text(
        "apiVersion: meshctl.dev/v1\nkind: Policy\ncode: OWN0001\nslug: no-routes\ntitle: t\nwhy: w\nfix: f\n"
        "severity: warning\nselect: {kind: route}\nassert: \"route.name == ''\"\n"
        'message: "`{{ route.service }}` has a route"\n'
        "tests:\n- {name: a, given: {route: {name: ''}}, expect: pass}\n"
        "- {name: b, given: {route: {name: x}}, expect: fail}\n"
    )
    routes = "".join(
        f"      - {{name: r{number}, matches: [{{path: {{prefix: /{number}}}}}]}}\n"
        for number in range(count)
    )
    return MESH.replace("  db:\n", f"  db:\n    routes:\n{routes}") if count else MESH


WORSE = MESH.replace("calls: {db: {}}", "calls: {db: {}, n00: {}}").replace(
    "  db:\n    port: 81\n",
    """\
  db:
    port: 81
    allow: [{from: ["*"], methods: [GET], paths: [{exact: /public}]}, {from: [web], paths: [{prefix: /}]}]
    deny: [{paths: [{exact: "/x[1]"}, {exact: "/x:2:3"}]}]
    routes:
      - name: a
        matches: [{path: {prefix: /cart}}]
        mirror: [{service: n00, percent: 5%}]
        retries: {attempts: 1, retryOn: [5xx], nonIdempotent: true}
""",
) + "".join(
    f"  n{n:02}:\n    port: 90\n    endpoints: [{{address: 10.0.1.{n + 1}}}]\n    calls: {{n{(n + 1) % 15:02}: {{}}}}\n"
    for n in range(15)
)
"""What is there can get worse in ways that the names and numbers of things do not tell."""


@pytest.mark.parametrize(
    ("old", "new", "slug"),
    [
        ("methods: [GET], paths: [{exact: /public}]", "paths: [{prefix: /admin}]", "wildcard-principal"),
        ("exact: /public", "exact: /admin", "wildcard-principal"),
        ("methods: [GET], ", "", "wildcard-principal"),
        ("percent: 5%", "percent: 50%", "mirror-of-writes"),
        ("prefix: /cart", "prefix: /order", "mirror-of-writes"),
        ("prefix: /cart", "prefix: /order", "non-idempotent-retry"),
        ("attempts: 1", "attempts: 4", "non-idempotent-retry"),
        ("[5xx]", "[5xx, 429]", "non-idempotent-retry"),
        ("n07", "other", "dependency-cycle"),
        ("/x[1]", "/x[7]", "misread-path"),
        ("/x:2:3", "/x:2:4", "misread-path"),
    ],
)
def test_what_got_worse_is_new(lint, old, new, slug):
    lint(WORSE, *UPDATE)
    assert slug in {each["slug"] for each in entries()}
    assert slug not in slugs(lint, WORSE, *USE)[1]
    assert old in WORSE
    assert slug in slugs(lint, WORSE.replace(old, new), *USE)[1]


def test_the_index_of_an_item_is_no_part_of_a_finding(lint):
    """It is part of the words, though, where the user has written it."""
    wrong = MESH.replace(
        "    port: 81\n", '    port: 81\n    allow: [{from: [web]}, {from: [web], methods: ["x[1]"]}]\n'
    )
    moved = wrong.replace("{from: [web]}, ", "")
    other = wrong.replace("x[1]", "x[2]")
    prints = [
        {each["fingerprint"] for each in json.loads(lint(text, "--format", "gitlab")[1].out)}
        for text in (wrong, moved, other)
    ]
    assert prints[0] == prints[1] != prints[2]
    assert "allow[1]" in lint(wrong)[1].out


def test_equal_findings_are_counted(lint):
    own = ("--policies", "own")
    told = {}
    lint(two_alike(2), *UPDATE, *own)
    assert [each["count"] for each in entries() if each["slug"] == "no-routes"] == [2]
    for count in (1, 2, 3):
        told[count] = [
            each
            for each in slugs(lint, two_alike(count), *USE, *own)[1]
            if each in ("no-routes", "unused-baseline")
        ]
    assert told == {1: ["unused-baseline"], 2: [], 3: ["no-routes"]}


def test_rules_that_are_off_keep_their_entries(lint):
    lint(MESH, *UPDATE)
    written = Path("base.json").read_bytes()
    off = MESH.replace("{severity: error}", '{severity: "off"}')
    assert slugs(lint, off, *USE) == (0, [])
    lint(off, *UPDATE)
    assert Path("base.json").read_bytes() == written


def test_bytes_are_the_same_for_the_same_findings(lint):
    lint(MORE, *UPDATE)
    first = Path("base.json").read_bytes()
    web, _, rest = MORE.partition("  db:\n")
    top, _, web = web.partition("services:\n")
    lint(f"{top}services:\n  db:\n{rest}  {web.lstrip()}", *UPDATE)
    assert Path("base.json").read_bytes() == first
    listed = [(each["code"], each["resource"], each["message"]) for each in entries()]
    assert listed == sorted(listed)
    os.utime("base.json", (0, 0))
    lint(MORE, *UPDATE)
    assert Path("base.json").stat().st_mtime == 0  # equal: not written


# What each format makes of one finding held back, one new and one mended.
NEW = MORE.replace("    port: 81", "    port: 81\n    timeout: 1s")


def printed_as(lint, form):
    lint(MESH, *UPDATE)
    code, printed = lint(NEW, *USE, "--format", form)
    return code, printed.out


@pytest.mark.parametrize(
    ("spec", "more", "expected"),
    [
        (MESH, (), 0),
        (MESH, ("--fail-on", "info"), 0),
        (NEW, (), 1),
        (NEW, ("--fail-on", "never"), 0),
        (OPEN, ("--fail-on", "warning"), 1),
        (MESH.replace("    port: 81", "    port: 81\n    timeout: 1s"), ("--fail-on", "warning"), 1),
        (MESH.replace("port: 80", "port: eighty"), (), 1),
        (MESH.replace("name: shop", "name: other"), (), 2),
        ("mesh:\n", (), 1),
        ("a: [", (), 2),
    ],
)
def test_the_exit_code_does_not_depend_on_the_format(lint, spec, more, expected):
    lint(MESH, *UPDATE)
    assert {lint(spec, *USE, *more, "--format", form)[0] for form in Format} == {expected}


def test_sarif_says_unchanged_new_and_absent(lint):
    from tests.cli.test_formats import judged

    _, text = printed_as(lint, "sarif")
    (sarif,) = judged(Format.SARIF, text)["runs"]
    states: dict[str, list[tuple[object, ...]]] = {}
    for each in sarif["results"]:
        suppressed = [suppression["kind"] for suppression in each.get("suppressions", ())]
        states.setdefault(each["baselineState"], []).append((each["ruleId"], each.get("kind"), suppressed))
        assert sarif["tool"]["driver"]["rules"][each["ruleIndex"]]["id"] == each["ruleId"]
    assert states["absent"] == [("MSH3101", "pass", [])]
    assert ("MSH3101", None, []) in states["new"]
    assert ("MSH8005", None, []) in states["new"]
    assert all(kinds == ["external"] for _, _, kinds in states["unchanged"])
    marks = [each["partialFingerprints"]["meshctl/v1"] for each in sarif["results"]]
    assert len(set(marks)) == len(marks)
    # What is gone has the fingerprint that it had when it was there.
    before = json.loads(lint(MESH, "--format", "sarif")[1].out)["runs"][0]["results"]
    assert {each["partialFingerprints"]["meshctl/v1"] for each in before} >= {
        each["partialFingerprints"]["meshctl/v1"]
        for each in sarif["results"]
        if each["baselineState"] == "absent"
    }
    assert all("baselineState" not in each for each in before)


@pytest.mark.parametrize(
    ("form", "held", "new"),
    [
        (Format.TEXT, 0, r"error MSH3101 missing-timeout: .*`api`"),
        (Format.GITHUB, 0, r"::error title=MSH3101 missing-timeout.*`api`"),
        (Format.GITLAB, 1, r"`api`.*\n.*\n.*\n.*\"critical\""),
        (Format.JUNIT, 1, r"<failure type=\"error\".*`api`"),
    ],
)
def test_each_format_tells_what_is_new(lint, form, held, new):
    _, text = printed_as(lint, form)
    assert re.search(new, text)
    assert bool(text.count("(in the baseline)")) is bool(held)
    assert "unused-baseline" in text


def test_without_a_baseline_nothing_is_said_of_one(lint):
    for form in set(Format) - {Format.SARIF}:  # which declares all rules
        assert "aseline" not in lint(MESH, "--format", form)[1].out


GOOD = {"schemaVersion": 1, "mesh": "shop", "environment": None, "findings": []}
ENTRY = {"code": "A", "slug": "a", "resource": "", "message": "m"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "base.json:1:1: not a baseline"),
        (b"{\n  <<<<<<< HEAD\n", "base.json:2:3: not a baseline"),
        (b"[" * 100_000, "base.json:1:"),
        (b"\xff\xfe", "base.json:1:1: not a baseline"),
        (b"[]", "schemaVersion"),
        (b"null", "schemaVersion"),
        (b'{"schemaVersion": 2}', "`schemaVersion` 2, and this meshctl reads 1"),
        (b'{"schemaVersion": true}', "`schemaVersion` true"),
        (b'{"schemaVersion": "' + b"x" * 5000 + b'"}', "…"),
        (GOOD | {"more": 1}, "its keys have to be"),
        (GOOD | {"mesh": 1}, "`mesh` has to be text"),
        (GOOD | {"findings": {}}, "`findings` a list"),
        (GOOD | {"findings": [1]}, "`findings[0]`"),
        (GOOD | {"findings": [ENTRY | {"more": 1}]}, "`findings[0]`"),
        (GOOD | {"findings": [ENTRY | {"code": None}]}, "have to be text"),
        (GOOD | {"findings": [ENTRY, ENTRY]}, "`findings[1]` is there twice: m"),
        (GOOD | {"findings": [ENTRY | {"count": 0}]}, "`count`"),
        (GOOD | {"findings": [ENTRY | {"count": True}]}, "`count`"),
        (GOOD | {"findings": [ENTRY | {"count": 1e30}]}, "`count`"),
        (GOOD | {"findings": [ENTRY | {"count": 10**18}]}, "`count`"),
        (GOOD | {"mesh": "\x1b[31m"}, "\\x1b"),
        (GOOD | {"mesh": "other"}, "is the baseline of the mesh `other`, and this is `shop`"),
        (GOOD | {"environment": "prod"}, "was written with `--env prod`, and this is no --env"),
        (b" " * ((8 << 20) + 1), "larger than 8 MiB"),
    ],
)
def test_what_is_no_baseline_of_this_mesh_is_refused(lint, content, told):
    written = content if isinstance(content, bytes) else json.dumps(content).encode()
    Path("base.json").write_bytes(written)
    for arguments in (USE, UPDATE):
        code, printed = lint(MESH, *arguments)
        assert (code, printed.out) == (2, "")
        assert told in printed.err
        assert printed.err.startswith("meshctl: base.json")
        assert len(printed.err) < 300
        assert all(line.isprintable() for line in printed.err.splitlines())
    assert Path("base.json").read_bytes() == written


@pytest.mark.parametrize(
    "name", ["nothing.json", ".", "", "fifo", "no/folder/base.json", "/dev/null", "a\nb"]
)
def test_a_baseline_that_cannot_be_read(lint, name):
    os.mkfifo("fifo")
    code, printed = lint(MESH, "--baseline", name)
    assert code == 2
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_an_update_needs_the_file(lint):
    code, printed = lint(MESH, "--update-baseline")
    assert (code, "--baseline FILE" in printed.err) == (2, True)


def test_an_environment_has_a_baseline_of_its_own(lint):
    Path("environments").mkdir()
    Path("environments/prod.yaml").write_text("mesh: {trustDomain: prod.example}\n")
    lint(MESH, *UPDATE, "--env", "prod")
    assert json.loads(Path("base.json").read_text())["environment"] == "prod"
    assert slugs(lint, MESH, *USE, "--env", "prod") == (0, [])
    assert lint(MESH, *USE)[0] == 2


def test_a_write_that_breaks_off_leaves_the_old_file(lint, monkeypatch):
    lint(MESH, *UPDATE)
    written = Path("base.json").read_bytes()

    def full(descriptor, content):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        code, _ = lint(MORE, *UPDATE)
    assert code == 2
    assert [path.name for path in Path().glob("base.json*")] == ["base.json"]
    assert Path("base.json").read_bytes() == written


def test_a_link_is_written_through(lint):
    Path("real.json").write_bytes(baseline.write(baseline.Baseline("shop", None, {})))
    Path("base.json").symlink_to("real.json")
    lint(MESH, *UPDATE)
    assert Path("base.json").is_symlink()
    assert entries()


def test_hostile_words_are_read_back_as_they_were_written():
    words = [
        "\x00\x7f\x1b",
        "\ud800".encode("utf-8", "backslashreplace").decode(),
        "\u202e😀\U000f0000",
        '"\\,\n',
    ]
    counts = {("MSH1", "a", "", each): number for number, each in enumerate(words, 1)}
    written = baseline.write(baseline.Baseline("m", None, counts))
    assert written.decode().replace("\n", "").isprintable()
    read = baseline.read(written, "base.json")
    assert read.counts == counts
    assert len({each.line for each in read.places.values()}) == len(words)
