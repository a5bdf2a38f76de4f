"""`meshctl history` and `meshctl blame` of scripted repositories."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from meshctl import load, pipeline
from meshctl.cli.app import run
from meshctl.diagnostics import FindingsError
from meshctl.load import commits as load_commits
from meshctl.load import moves, revision
from meshctl.load import parsed as parsed_files
from tests.cli.repository import Repository

SCHEMAS = Path(__file__).parents[2] / "schemas"
TOP = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
defaults: {timeout: 2s, retries: {attempts: 0}}
"""
API = """\
  api:
    port: 80
    endpoints: [{address: 10.0.0.2, subset: v1}, {address: 10.0.0.3, subset: v2}]
    routes:
      - {name: beta, matches: [{path: {prefix: /}, headers: {x-beta: "1"}}], backends: [{subset: v2}]}
      - {name: rest, backends: [{subset: v1, weight: 90}, {subset: v2, weight: 10}]}
"""
WEB = "  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {api: {}}}\n"
OTHER = "  other: {port: 80, endpoints: [{address: 10.0.0.9}]}\n"
MESH = f"{TOP}services:\n{WEB}{API}{OTHER}"


@pytest.fixture
def repository(tmp_path, monkeypatch):
    return Repository(monkeypatch, tmp_path)


def told(repository, capsys, *arguments):
    code = run([*arguments])
    printed = capsys.readouterr()
    assert (code, printed.out == "") == (0, False), printed.err
    return repository.without_ids(printed.out), repository.without_ids(printed.err)


def document(capsys, command, *arguments):
    """What is printed as JSON, held against its schema."""
    assert run([command, *arguments, "--format", "json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    schema = json.loads((SCHEMAS / f"{command}.schema.json").read_text("utf-8"))
    assert list(Draft202012Validator(schema).iter_errors(printed)) == []
    return printed


def refused(capsys, *arguments):
    code = run([*arguments])
    printed = capsys.readouterr()
    assert printed.out == ""
    return code, printed.err


@pytest.fixture
def story(told_once, tmp_path, monkeypatch):
    shutil.copytree(told_once, tmp_path, dirs_exist_ok=True)
    return Repository(monkeypatch, tmp_path)


@pytest.fixture(scope="module")
def told_once(tmp_path_factory):
    """A service's life: settings, a default, comments, a broken commit, a move, another name, a caller."""
    folder = tmp_path_factory.mktemp("story")
    with pytest.MonkeyPatch.context() as patch:
        _tell(Repository(patch, folder))
    return folder


def _tell(repository):
    now = MESH
    repository.commit("ann", "start", {"mesh.yaml": now})
    repository.commit("bob", "readme", {"README": "x"})
    now = now.replace("weight: 90", "weight: 80").replace("weight: 10", "weight: 20")
    repository.commit("bob", "a fifth", {"mesh.yaml": now})
    now = now.replace("timeout: 2s", "timeout: 3s")
    repository.commit("eve", "slower", {"mesh.yaml": now})
    repository.commit("eve", "unrelated", {"mesh.yaml": now.replace("10.0.0.9", "10.0.0.8")})
    now = f"# a word\n{now.replace('{subset: v1, weight: 80}', '{weight: 80,   subset: v1}')}"
    repository.commit("bob", "layout", {"mesh.yaml": now})
    repository.commit("eve", "break", {"mesh.yaml": now.replace("calls: {api: {}}", "calls: {apii: {}}")})
    repository.commit("eve", "mend", {"mesh.yaml": now.replace("calls: {api: {}}", "calls: {}")})
    services = now.partition("services:\n")
    files = {"conf/top.yaml": services[0], "conf/all.yaml": "".join(services[1:]), "mesh.yaml": ""}
    repository.commit("ann", "split", files)
    renamed = files["conf/all.yaml"].replace("api", "stock")
    repository.commit("bob", "rename", {"conf/all.yaml": renamed})
    called = renamed.replace("10.0.0.9}]", "10.0.0.9}], calls: {stock: {timeout: 700ms}}")
    repository.commit("eve", "call", {"conf/all.yaml": called})


STORY = """\
[call] 2026-01-11 eve: call
    + caller other
    because of: services.other (conf/all.yaml:9)
[rename] 2026-01-10 bob: rename
    ~ api, now named stock
[split] 2026-01-09 ann: split
    + caller web
    because of: services.web (conf/all.yaml:2)
[mend] 2026-01-08 eve: mend
    - caller web
    because of: services.web (mesh.yaml:6)
    with what was done at [break], where the spec was not valid
[break] 2026-01-07 eve: break
    not valid here: mesh.yaml:6: there is no service or external named `apii`
[slower] 2026-01-04 eve: slower
    ~ route beta, rest
        ~ timeout: 2s -> 3s
    because of: defaults.timeout (mesh.yaml:3)
[a fifth] 2026-01-03 bob: a fifth
    ~ route rest: 10% of all requests moves from v1 to v2
        ~ weight v1: 90% -> 80%
        ~ weight v2: 10% -> 20%
[start] 2026-01-01 ann: start
    + api is new
"""


def test_the_history_of_a_service_is_told_commit_by_commit(story, capsys):
    out, err = told(story, capsys, "history", "stock", "--spec", "conf")
    assert out == STORY
    assert err == "10 of 10 commits looked at, back to the beginning\n"
    commits = document(capsys, "history", "stock", "--spec", "conf")["commits"]
    assert "\n".join(line for each in commits for line in each["text"]) == "\n".join(
        line[4:] for line in STORY.splitlines() if line[0] == " " and line[4:8] not in ("beca", "with")
    )


BLAME = """\
[slower] 2026-01-04 eve  conf/top.yaml:4  timeout: 3s
not committed yet  conf/top.yaml:4  retries.attempts: 1
[start] 2026-01-01 ann  conf/all.yaml:8  name: rest
[a fifth] 2026-01-03 bob  conf/all.yaml:8  backends.v1: weight: 80
[a fifth] 2026-01-03 bob  conf/all.yaml:8  backends.v2: weight: 20

[slower] 2026-01-04 eve: slower
[a fifth] 2026-01-03 bob: a fifth
[start] 2026-01-01 ann: start
"""


def test_every_setting_is_blamed_on_the_commit_that_made_it_so(story, capsys):
    story.write(
        {"conf/top.yaml": Path("conf/top.yaml").read_text("utf-8").replace("attempts: 0", "attempts: 1")}
    )
    out, _ = told(story, capsys, "blame", "stock/rest", "--spec", "conf")
    assert re.sub(" {3,}", "  ", out) == BLAME


def blamed(capsys, *arguments):
    """By setting the subject of its commit, or what else is known."""
    found = document(capsys, "blame", *arguments)
    subjects = {each["id"]: each["subject"] for each in found["commits"]}
    return {each["setting"]: subjects.get(each["commit"], each["origin"]) for each in found["settings"]}


def test_defaults_that_nobody_changed_are_not_told(story, capsys):
    assert blamed(capsys, "other", "--spec", "conf") == {
        "timeout": "slower",
        "retries.attempts": "start",
        "port": "start",
        "endpoints.10.0.0.9": "layout",
        "calls.stock.timeout": "call",
    }


def test_a_setting_that_was_taken_away_is_blamed_where_its_default_holds(repository, capsys):
    own = MESH.replace("  other: {", "  other: {idleTimeout: 9s, timeout: 5s, ")
    repository.commit("ann", "start", {"mesh.yaml": own})
    repository.commit("bob", "less", {"mesh.yaml": MESH})
    settings = blamed(capsys, "other")
    assert (settings["idleTimeout"], settings["timeout"]) == ("less", "less")
    assert "connectTimeout" not in settings


def test_a_new_service_inherits_what_older_commits_said(repository, capsys):
    repository.commit("ann", "start", {"mesh.yaml": MESH})
    repository.commit(
        "bob", "new", {"mesh.yaml": f"{MESH}  new: {{port: 80, endpoints: [{{address: 10.0.0.5}}]}}\n"}
    )
    settings = blamed(capsys, "new")
    assert (settings["timeout"], settings["port"]) == ("start", "new")


RULES = """\
    allow:
      - {from: [web], methods: [GET]}
      - {from: [other], paths: [{prefix: /a}]}
    deny: [{from: [web], paths: [{exact: /b}]}]
"""


def test_rules_are_blamed_one_by_one_and_told(repository, capsys):
    """In the order of the file, whatever that was before; the same time in other units is the same."""
    files = {"mesh.yaml": MESH.replace("    routes:", f"{RULES}    timeout: 1m\n    routes:")}
    repository.commit("ann", "start", files)
    lines = RULES.splitlines(keepends=True)
    turned = "".join((lines[0], lines[2], lines[1].replace("GET", "POST"), lines[3]))
    files = {"mesh.yaml": MESH.replace("    routes:", f"{turned}    timeout: 60s\n    routes:")}
    repository.commit("bob", "change", files)
    out, _ = told(repository, capsys, "blame", "api/allow")
    assert [line.split("  ")[0] for line in out.splitlines()[:2]] == [
        "[start] 2026-01-01 ann",
        "[change] 2026-01-02 bob",
    ]
    out, _ = told(repository, capsys, "blame", "api/deny")
    assert out.startswith("[start] 2026-01-01 ann  mesh.yaml:12  deny: from: [web], paths: [{exact: /b}]\n")
    assert blamed(capsys, "api")["timeout"] == "start"
    out, _ = told(repository, capsys, "history", "api", "-n", "1")
    assert "    - allow web GET\n    + allow web POST\n" in out


def test_a_route_is_followed_past_its_renaming(repository, capsys):
    repository.commit("ann", "start", {"mesh.yaml": MESH})
    repository.commit("bob", "rename", {"mesh.yaml": MESH.replace("name: rest", "name: most")})
    settings = blamed(capsys, "api/most")
    assert settings == {
        "timeout": "start",
        "retries.attempts": "start",
        "name": "rename",
        "backends.v1": "start",
        "backends.v2": "start",
    }


HOSTILE = "Eve \x1b[31m\u202e@all"


def test_names_and_subjects_print_nothing_but_text_and_are_exact_in_json(repository, capsys):
    """A line break cannot be in either: git makes it a space."""
    repository.commit(HOSTILE, f"\x07\u2028{HOSTILE} | **x** <b>", {"mesh.yaml": MESH})
    for command in ("history", "blame"):
        assert run([command, "api"]) == 0
        out = capsys.readouterr().out
        assert all(each.isprintable() or each == "\n" for each in out)
        assert r"\x1b[31m\x202e" in out
        found = document(capsys, command, "api")
        name = found["commits"][0]["author"]["name"], found["commits"][0]["subject"]
        assert name == (HOSTILE, f"\x07\u2028{HOSTILE} | **x** <b>")


def test_the_mailmap_is_honoured(repository, capsys):
    repository.commit(
        "ann", "start", {"mesh.yaml": MESH, ".mailmap": "Anna <anna@x.example> <ann@example.com>\n"}
    )
    assert document(capsys, "history", "api")["commits"][0]["author"] == {
        "name": "Anna",
        "email": "anna@x.example",
    }


def test_a_merge_is_one_change_and_says_what_it_brings(repository, capsys):
    repository.commit("ann", "start", {"mesh.yaml": MESH})
    repository.git("checkout", "-q", "-b", "side")
    repository.commit("bob", "side 1", {"mesh.yaml": MESH.replace("90", "80")})
    repository.commit("bob", "side 2", {"mesh.yaml": MESH.replace("90", "70")})
    repository.commit("bob", "side 3", {"README": "x"})
    repository.git("checkout", "-q", "main")
    repository.commit("ann", "main", {"README.main": "x"})
    repository.git("merge", "-q", "--no-ff", "-m", "merge side", "side")
    out, _ = told(repository, capsys, "history", "api")
    assert out.splitlines()[:4] == [
        "[merge side] 2026-01-06 n (merge): merge side",
        "    brings [side 2] 2026-01-03 bob: side 2",
        "    brings [side 1] 2026-01-02 bob: side 1",
        "    ~ route rest: 2.5% of all requests moves from v1 to v2",
    ]
    assert out.count("side 1") == 2
    out, _ = told(repository, capsys, "blame", "api")
    assert "    brings [side 2] 2026-01-03 bob: side 2\n" in out


def test_a_shallow_clone_says_where_it_ends_and_how_to_get_the_rest(story, capsys, monkeypatch, tmp_path):
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--depth", "3", f"file://{tmp_path}", str(clone)], check=True)
    monkeypatch.chdir(clone)
    out, err = told(story, capsys, "history", "stock", "--spec", "conf")
    assert out == STORY[: STORY.index("[split]")]
    assert "this clone ends at [split]; for what was before: `git fetch --unshallow`" in err
    out, err = told(story, capsys, "blame", "stock/rest", "--spec", "conf")
    assert out.startswith("older  conf/top.yaml:4  timeout: 3s\n")
    assert err.startswith("older: this clone ends")
    assert document(capsys, "history", "stock", "--spec", "conf")["end"] == "shallow"


@pytest.mark.parametrize("since", ["2026-01-07", "2026-01-07T00:00:00+00:00", "HEAD~5"])
def test_only_what_came_since_is_looked_at(story, capsys, since):
    out, err = told(story, capsys, "history", "stock", "--spec", "conf", "--since", since)
    assert out == STORY[: STORY.index("[slower]")]
    assert "older commits were left out by --since" in err
    assert set(blamed(capsys, "stock/rest", "--spec", "conf", "--since", since).values()) == {"older"}


def test_as_many_commits_are_shown_as_are_asked_for(story, capsys):
    out, err = told(story, capsys, "history", "stock", "--spec", "conf", "-n", "2")
    assert out == STORY[: STORY.index("[split]")]
    assert err == "2 of 10 commits looked at; for older ones: -n 4\n"


def test_time_is_bounded(story, capsys, monkeypatch):
    ticks = iter(range(100))
    monkeypatch.setattr("meshctl.cli.commits.time.monotonic", lambda: next(ticks))
    _, err = told(story, capsys, "history", "stock", "--spec", "conf", "--seconds", "3")
    assert err == "4 of 10 commits looked at; for older ones: --seconds 6\n"
    _, err = told(story, capsys, "blame", "stock/rest", "--spec", "conf", "--seconds", "3")
    assert err == "older: time was up; go on with --seconds 6\n"


def test_a_service_that_went_has_a_history(repository, capsys):
    repository.commit("ann", "start", {"mesh.yaml": MESH})
    repository.commit("bob", "without", {"mesh.yaml": MESH.replace(OTHER, "")})
    repository.commit("eve", "again", {"mesh.yaml": MESH})
    repository.commit("eve", "gone", {"mesh.yaml": "", "README": "x"})
    repository.commit("eve", "back", {"mesh.yaml": MESH.replace(OTHER, "")})
    out, _ = told(repository, capsys, "history", "other")
    assert [line for line in out.splitlines() if line.startswith(" ")] == [
        "    - other is gone",
        "    + other is new",
        "    - other is gone",
        "    + other is new",
    ]


MOVES = {
    "a file": ({"a/b.yaml": MESH}, "mesh.yaml"),
    "a folder": (
        {"x/y/one.yaml": f"{TOP}services:\n{WEB}", "x/y/two.yaml": f"services:\n{API}{OTHER}"},
        "mesh",
    ),
    "a file to a folder": ({"a.yaml": MESH}, "mesh"),
    "a folder to a file": (
        {"x/one.yaml": f"{TOP}services:\n{WEB}", "x/two.yaml": f"services:\n{API}{OTHER}"},
        "mesh.yaml",
    ),
    "the top to a folder": (
        {"one.yaml": f"{TOP}services:\n{WEB}", "two.yaml": f"services:\n{API}{OTHER}"},
        "mesh",
    ),
}


@pytest.mark.parametrize("name", MOVES)
def test_moves_are_followed(repository, capsys, name):
    old, place = MOVES[name]
    repository.commit("ann", "start", old)
    first = next(iter(old))
    repository.commit("bob", "faster", {first: old[first].replace("2s", "1s")})
    texts = {path: Path(path).read_text("utf-8") for path in old}
    if place.endswith(".yaml"):
        new = {place: "services:\n".join(("".join(texts.values())).split("services:\n")[:2])}
        new[place] += "".join("".join(texts.values()).split("services:\n")[2:])
    elif name == "a file to a folder":
        head, services = texts[first].split("services:\n")
        new = {f"{place}/top.yaml": head, f"{place}/all.yaml": f"services:\n{services}"}
    else:
        new = {f"{place}/{Path(path).name}": text for path, text in texts.items()}
    repository.commit("eve", "move", new | dict.fromkeys(old, ""))
    repository.commit("ann", "slower", {path: text.replace("1s", "3s") for path, text in new.items()})
    out, _ = told(repository, capsys, "history", "api", "--spec", place)
    assert [line.rpartition(": ")[2] for line in out.splitlines() if line.startswith("[")] == [
        "slower",
        "faster",
        "start",
    ]
    assert blamed(capsys, "api", "--spec", place)["port"] == "start"


def test_what_the_spec_reads_besides_is_looked_at(repository, capsys):
    files = {"mesh.yaml": MESH, "environments/prod.yaml": "mesh: {trustDomain: prod.example}\n"}
    repository.commit("ann", "start", files)
    repository.commit(
        "bob",
        "prod",
        {"environments/prod.yaml": files["environments/prod.yaml"] + "defaults: {timeout: 9s}\n"},
    )
    repository.commit("eve", "readme", {"README": "x"})
    assert len(document(capsys, "history", "api")["commits"]) == 1
    assert blamed(capsys, "api", "--env", "prod")["timeout"] == "prod"
    out, _ = told(repository, capsys, "history", "api", "--env", "prod")
    assert out.splitlines()[0] == "[prod] 2026-01-02 bob: prod"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["history", "apo"],
            "there is no service named `apo` in the spec; did you mean `api`?, nor was there one at the 1 commits",
        ),
        (["blame", "apo"], "there is no service named `apo` in the spec; did you mean `api`?"),
        (
            ["blame", "api/res"],
            "there is no route named `res` at `api`; did you mean `rest`? (there are beta, rest)",
        ),
        (["blame", "web/a"], "there is no route named `a` at `web` (there are none)"),
        (
            ["history", "api", "--since", "nonsense"],
            "--since nonsense: neither a date (YYYY-MM-DD) nor a revision",
        ),
        (["history", "api", "--since", "2026-13-01"], "--since 2026-13-01: neither a date"),
        (["history", "api", "--spec", "../mesh.yaml"], "../mesh.yaml: no such file or folder"),
        (["history", "api", "--spec", "HEAD:../../x"], "no"),
        (["blame", "api", "--spec", "nothing:mesh.yaml"], "git: "),
        (["history", "api", "--spec", "HEAD:gone.yaml"], "gone.yaml: not in revision"),
    ],
)
def test_what_is_not_there_is_a_usage_error(repository, capsys, arguments, message):
    repository.commit("ann", "start", {"mesh.yaml": MESH})
    code, err = refused(capsys, *arguments)
    assert (code, message in err) == (2, True), err


def test_a_spec_outside_of_a_repository_has_no_history(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    Path("mesh.yaml").write_text(MESH, "utf-8")
    for command in ("history", "blame"):
        code, err = refused(capsys, command, "api")
        assert (code, "not a git repository" in err) == (2, True), err


def test_what_was_never_committed_is_not_committed_yet(repository, capsys):
    repository.commit("ann", "start", {"README": "x"})
    repository.write({"mesh.yaml": MESH})
    assert set(blamed(capsys, "api").values()) == {"uncommitted"}
    assert document(capsys, "history", "api")["commits"] == []


def test_a_spec_in_a_revision_is_looked_at_from_there(story, capsys):
    out, _ = told(story, capsys, "history", "api", "--spec", "HEAD~4:mesh.yaml")
    assert out.startswith("[break]")
    out, _ = told(story, capsys, "blame", "api/rest", "--spec", "HEAD~5:mesh.yaml")
    assert out.startswith("[slower] 2026-01-04 eve  mesh.yaml:4   timeout: 3s\n")


@pytest.mark.parametrize("place", ["a/b", "sp ace:x/é"])
def test_it_is_asked_from_anywhere_in_the_repository(repository, capsys, monkeypatch, place):
    repository.commit("ann", "start", {f"{place}/mesh.yaml": MESH})
    repository.commit("bob", "other", {"mesh.yaml": MESH.replace("2s", "1s")})
    for folder, spec in ((".", f"{place}/mesh.yaml"), (place, "mesh.yaml"), (place, f"../../{place}")):
        monkeypatch.chdir(folder)
        out, _ = told(repository, capsys, "history", "api", "--spec", spec)
        assert out == "[start] 2026-01-01 ann: start\n    + api is new\n"
        out, _ = told(repository, capsys, "blame", "api/rest", "--spec", spec)
        shown = spec if spec.endswith(".yaml") else f"{spec}/mesh.yaml"
        assert f"ann  {shown}:3   timeout: 2s\n" in out
        monkeypatch.chdir(repository.folder)


def test_a_bare_repository_will_do(story, capsys, monkeypatch, tmp_path):
    bare = tmp_path / "bare"
    subprocess.run(["git", "clone", "-q", "--bare", str(tmp_path), str(bare)], check=True)
    monkeypatch.chdir(bare)
    out, _ = told(story, capsys, "history", "stock", "--spec", "HEAD:conf")
    assert out == STORY
    assert run(["blame", "stock", "--spec", "HEAD:conf"]) == 0


def test_whom_it_calls_is_told(story, capsys):
    out, _ = told(story, capsys, "history", "web", "--spec", "conf")
    assert re.findall(r"\[(.*?)\].*\n    (. call of .*)\n", out) == [
        ("split", "+ call of api"),
        ("mend", "- call of api"),
    ]


def test_a_move_is_known_by_likeness_where_other_files_go_too(repository, capsys):
    repository.commit("ann", "start", {"mesh.yaml": MESH, "a/ci.yaml": "x: 1\n", "b/ci.yml": "y: 2\n"})
    moved = MESH.replace("timeout: 2s", "timeout: 4s")
    files = {"conf/mesh.yaml": moved, "mesh.yaml": "", "a/ci.yaml": "", "b/ci.yml": ""}
    repository.commit("bob", "move and more", files)
    assert [each["kind"] for each in document(capsys, "history", "api", "--spec", "conf")["commits"]] == [
        "changed",
        "added",
    ]


def test_what_follows_from_a_change_is_told(repository, capsys):
    repository.commit("ann", "start", {"mesh.yaml": MESH})
    other = MESH.replace("trustDomain: shop.example", "trustDomain: other.example")
    repository.commit("bob", "other names", {"mesh.yaml": other})
    out, _ = told(repository, capsys, "history", "api", "-n", "1")
    assert "    ! " in out
    (entry,) = document(capsys, "history", "api", "-n", "1")["commits"]
    assert [each["effect"] for each in entry["consequences"]] == ["reissued"]


def test_a_spec_that_cannot_be_read_now_has_findings(repository, capsys):
    repository.commit("ann", "start", {"mesh.yaml": MESH})
    repository.write({"mesh.yaml": MESH.replace("port: 80", "prot: 80")})
    with pytest.raises(FindingsError):
        pipeline.blame("mesh.yaml", "api")
    code, err = refused(capsys, "blame", "api")
    assert (code, "unknown-key" in err) == (1, True)


def test_each_blob_is_parsed_once(story, capsys, monkeypatch):
    parsed = []
    parse = load.read_yaml

    def counted(*arguments):
        parsed.append(arguments[0])
        return parse(*arguments)

    monkeypatch.setattr(parsed_files, "read_yaml", counted)
    told(story, capsys, "history", "stock", "--spec", "conf")
    assert len(parsed) == len(set(parsed)) > 8


def test_commits_that_leave_the_spec_alone_cost_no_process(repository, monkeypatch):
    repository.commit("ann", "start", {"mesh.yaml": MESH})
    repository.commit("bob", "faster", {"mesh.yaml": MESH.replace("2s", "1s")})
    started = []
    start = revision.git

    def counted(*arguments, **options):
        started.append(arguments)
        return start(*arguments, **options)

    for module in (revision, load_commits, moves):
        monkeypatch.setattr(module, "git", counted)

    def count():
        started.clear()
        assert len(list(pipeline.history("mesh.yaml", "api").entries)) == 2
        return len(started)

    few = count()
    for number in range(20):
        repository.commit("eve", f"other {number}", {"README": str(number)})
    assert count() == few < 12
