"""`meshctl diff`: which two specs it compares, how it tells it, and how it ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from meshctl import pipeline
from meshctl.cli import diff_markdown
from meshctl.cli.app import run
from meshctl.diff import FileChange, Sign

MESH = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
defaults: {timeout: 2s, retries: {attempts: 0}}
services:
  mailer: {port: 80, endpoints: [{address: 10.0.0.9}], calls: {web: {}}}
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {shop: {}}}
  shop: {port: 80, endpoints: [{address: 10.0.0.2}]}
  stock: {port: 80, endpoints: [{address: 10.0.0.3}]}
"""
CALL = MESH.replace("10.0.0.2}]}", "10.0.0.2}], calls: {stock: {}}}")
SLOW = MESH.replace("timeout: 2s", "timeout: 3s")


@pytest.fixture
def git(tmp_path, monkeypatch):
    """A repository: `main` has the mesh and then another timeout, `topic` leaves it before that for another call."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        identity = ("-c", "user.name=n", "-c", "user.email=n@example.com", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(text):
        Path("mesh.yaml").write_text(text, "utf-8")
        call("add", ".")
        call("commit", "-qm", "x")

    call("init", "-q", "-b", "main")
    commit(MESH)
    call("tag", "first")
    call("switch", "-qc", "topic")
    commit(CALL)
    call("switch", "-q", "main")
    commit(SLOW)
    call("switch", "-q", "topic")
    return call


def diff(capsys, *arguments):
    capsys.readouterr()
    code = run(["diff", *arguments])
    return code, *capsys.readouterr()


def differences(capsys, *arguments):
    code, out, _ = diff(capsys, *arguments, "--format", "json")
    document = json.loads(out)
    assert code == int(document["differs"])
    pairs = {f"+{each['caller']}>{each['callee']}" for each in document["reach"]["added"]}
    pairs |= {f"-{each['caller']}>{each['callee']}" for each in document["reach"]["removed"]}
    timeouts = {"slow"} if "3s" in out else set()
    return pairs | timeouts


NEW, FORMER = "+shop>stock", "-shop>stock"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], set()),
        (["HEAD"], set()),
        (["first"], {NEW}),
        (["main"], {NEW, "slow"}),
        (["main", "topic"], {NEW, "slow"}),
        (["main..topic"], {NEW, "slow"}),
        (["main.."], {NEW, "slow"}),
        (["..main"], {FORMER, "slow"}),
        (["main...topic"], {NEW}),
        (["main..."], {NEW}),
        (["...main"], {"slow"}),
        (["HEAD~1..HEAD"], {NEW}),
        (["first", "first"], set()),
    ],
)
def test_which_revisions_are_compared(git, capsys, arguments, expected):
    assert differences(capsys, *arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "nothing"),
        (["main..nothing"], "nothing"),
        (["main...nothing"], "there is no revision nothing here"),
        (["-x...main"], "-x"),
        (["main..topic", "main"], "names both revisions"),
        (["HEAD:mesh.yaml..main"], "is not a revision"),
        (["--max-sidecars", "-1"], "--max-sidecars"),
        (["--spec", "nowhere.yaml"], "there is no nowhere.yaml in HEAD, and none in the work tree"),
    ],
)
def test_what_cannot_be_compared_ends_with_2(git, capsys, arguments, said):
    words = [each for each in arguments if each.startswith("--")]
    code, out, told = diff(capsys, *(arguments if words else ["--", *arguments]))
    assert (code, out) == (2, "")
    assert said in told


def test_histories_without_a_common_commit_have_no_merge_base(git, capsys):
    git("switch", "-q", "--orphan", "other")
    git("commit", "-qm", "x", "--allow-empty")
    code, _, told = diff(capsys, "main...other")
    assert code == 2
    assert "main and other have no commit in common" in told


def test_a_shallow_clone_says_how_to_get_the_rest(git, capsys, tmp_path, monkeypatch):
    git("clone", "-q", "--depth", "1", f"file://{tmp_path}", str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    for arguments in (["HEAD~1"], ["HEAD~1...HEAD"]):
        code, _, told = diff(capsys, *arguments)
        assert code == 2
        assert "git fetch --unshallow" in told


def test_a_spec_that_one_side_has_not_comes_or_goes(git, capsys):
    git("rm", "-q", "mesh.yaml")
    git("commit", "-qm", "gone", "--allow-empty")
    Path("shop.yaml").write_text(MESH, "utf-8")
    git("add", ".")
    git("commit", "-qm", "another")
    code, out, told = diff(capsys, "HEAD~1", "HEAD", "--spec", "shop.yaml")
    assert code == 1
    assert "there is no shop.yaml in HEAD~1: everything is added" in told
    assert [line for line in out.splitlines() if line.startswith("+ service")] == [
        f"+ service {name}" for name in ("mailer", "shop", "stock", "web")
    ]
    code, out, told = diff(capsys, "HEAD", "HEAD~1", "--spec", "shop.yaml", "--format", "json")
    assert json.loads(out)["missing"] == "after"
    assert {each["sign"] for each in json.loads(out)["changes"]} == {"removed"}
    Path("shop.yaml").unlink()
    code, out, told = diff(capsys, "--spec", "shop.yaml")
    assert "there is no shop.yaml in the work tree: everything is removed" in told


def in_a_folder(git):
    """The mesh in a folder of two files, one of them another's."""
    Path("apps/mesh conf").mkdir(parents=True)
    head, _, services = MESH.partition("services:\n")
    Path("apps/mesh conf/mesh.yaml").write_text(head, "utf-8")
    Path("apps/mesh conf/services.yaml").write_text(f"services:\n{services}", "utf-8")
    git("rm", "-q", "mesh.yaml")
    git("add", ".")
    git("commit", "-qm", "folder")


@pytest.mark.parametrize("where", [".", "apps"])
@pytest.mark.parametrize("committed", [True, False])
def test_a_spec_that_was_moved_is_followed(git, capsys, monkeypatch, where, committed):
    in_a_folder(git)
    git("mv", "apps/mesh conf", "apps/moved")
    if committed:
        git("commit", "-qm", "moved")
    arguments = ("HEAD~1", "HEAD") if committed else ("HEAD",)
    monkeypatch.chdir(where)
    new = os.path.relpath(Path(git("rev-parse", "--show-toplevel"), "apps", "moved"))
    was = "the spec was apps/mesh conf/ before\n"
    assert diff(capsys, *arguments, "--spec", new) == (0, "", f"{was}no change\n")
    code, out, _ = diff(capsys, *arguments, "--spec", new, "--format", "markdown")
    assert (code, out.splitlines()[0], was in out) == (0, "### meshctl diff: no change", True)
    file = Path(new, "mesh.yaml")
    file.write_text(file.read_text("utf-8").replace("timeout: 2s", "timeout: 3s"), "utf-8")
    if committed:
        git("commit", "-qam", "slower")
        arguments = ("HEAD~2", "HEAD")
    code, out, told = diff(capsys, *arguments, "--spec", new)
    assert (code, told.startswith(was)) == (1, True)
    assert "timeout: 2s -> 3s" in out
    assert "+" not in {line.strip()[0] for line in out.splitlines()}


def test_a_spec_that_was_moved_is_followed_by_its_former_name_too(git, capsys):
    git("mv", "mesh.yaml", "shop.yaml")
    said = "the spec is shop.yaml afterwards\nno change\n"
    assert diff(capsys, "--spec", "mesh.yaml") == (0, "", said)
    git("commit", "-qm", "moved")
    assert diff(capsys, "HEAD~1", "HEAD", "--spec", "mesh.yaml") == (0, "", said)
    assert diff(capsys, "HEAD", "HEAD~1", "--spec", "mesh.yaml") == (
        0,
        "",
        "the spec was shop.yaml before\nno change\n",
    )


def test_a_file_that_became_a_folder_is_no_change(git, capsys):
    Path("mesh").mkdir()
    git("mv", "mesh.yaml", "mesh/all.yaml")
    assert diff(capsys) == (0, "", "no change\n")
    git("commit", "-qam", "moved")
    assert diff(capsys, "HEAD~1", "HEAD") == (0, "", "no change\n")
    assert differences(capsys, "first") == {NEW}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 1, ""),
        (["--max-sidecars", "2"], 1, ""),
        (["--fail-on", "limit"], 0, ""),
        (["--fail-on", "limit", "--max-sidecars", "2", "--max-callers", "1"], 0, ""),
        (["--fail-on", "limit", "--max-sidecars", "1"], 1, "error: 2 sidecars to deploy, more than the 1 of --max-sidecars"),
        (["--fail-on", "limit", "--max-callers", "0"], 1, "error: 1 caller affected, more than the 0 of --max-callers"),
    ],
)  # fmt: skip
def test_limits(git, capsys, arguments, code, said):
    found, _, told = diff(capsys, "first", *arguments)
    assert found == code
    assert [line for line in told.splitlines() if line.startswith("error")] == ([said] if said else [])
    _, out, _ = diff(capsys, "first", *arguments, "--format", "json")
    assert bool(json.loads(out)["exceeded"]) == bool(said)
    _, out, _ = diff(capsys, "first", *arguments, "--format", "markdown")
    assert (":warning:" in out) == bool(said)


@pytest.mark.parametrize(
    ("refusing", "told", "former"),
    [
        ("deny: [{methods: [PUT]}]", "`web` may now do less at `shop`, such as no more PUT https://shop.shop.mesh/", 0),
        ("deny: [{paths: [{prefix: /}]}]", "`web` reaches `shop` directly no more", 1),
    ],
)  # fmt: skip
def test_who_is_refused_newly_is_affected(git, capsys, refusing, told, former):
    """Though the callee's bundle alone differs."""
    Path("mesh.yaml").write_text(MESH.replace("10.0.0.2}]}", f"10.0.0.2}}], {refusing}}}"), "utf-8")
    code, out, error = diff(capsys, "first", "--fail-on", "limit", "--max-callers", "0")
    assert code == 1
    assert f"  - {told}\n" in out
    assert f"1 caller affected; 0 new and {former} former pairs of caller and callee" in error
    assert "1 caller affected, more than the 0 of --max-callers" in error


def test_who_is_reached_through_others_is_told_with_the_way(git, capsys):
    _, out, _ = diff(capsys, "first")
    because = "because `shop` now calls `stock`"
    assert [line for line in out.splitlines() if " can now reach " in line] == [
        f"  + `mailer` can now reach `stock`, by mailer -> web -> shop -> stock, {because}",
        f"  + `web` can now reach `stock`, by web -> shop -> stock, {because}",
    ]
    _, out, _ = diff(capsys, "topic", "first")
    assert [line for line in out.splitlines() if "through others" in line] == [
        "  - `mailer` reaches `stock` through others no more",
        "  - `web` reaches `stock` through others no more",
    ]


HOSTILE = "@all #1 <img src=x onerror=y> </details> [a](http://b) | ![c](d) ````` x"


def test_nothing_of_a_spec_is_markup_in_a_comment(git, capsys):
    answer, lines = json.dumps(HOSTILE), json.dumps(f"```\n```\n{HOSTILE}")
    text = CALL.replace(
        "10.0.0.3}]}",
        f"10.0.0.3}}], routes: [{{name: a, matches: [{{headers: {{x-a: {answer}}}}}], respond: {{status: 200, body: {lines}}}}}]}}",
    )
    Path("mesh.yaml").write_text(text, "utf-8")
    code, out, told = diff(capsys, "--format", "markdown", "--rendered")
    assert (code, told) == (1, "")
    assert "onerror" in out
    assert "onerror" not in outside_of_fences(out)
    assert "stock" not in outside_of_fences(out)
    assert not re.search("[@#!\x1b\u202e]", outside_of_fences(out).replace("### ", ""))


def outside_of_fences(text):
    """What CommonMark takes for markup: a fence ends at one as long as that which began it."""
    kept, fence = [], ""
    for line in text.splitlines():
        found = re.match("`{3,}", line)
        if fence:
            if re.fullmatch(f" {{0,3}}`{{{len(fence)},}} *", line):
                fence = ""
        elif found:
            fence = found[0]
        else:
            kept.append(line)
    assert not fence
    return "\n".join(kept)


def test_a_comment_is_never_too_long_and_says_what_is_missing(git, capsys):
    many = "".join(
        f"  s{number}: {{port: 80, endpoints: [{{address: 10.1.{number}.1}}], calls: {{stock: {{}}}}}}\n"
        for number in range(120)
    )
    Path("mesh.yaml").write_text(CALL + many, "utf-8")
    _, out, _ = diff(capsys, "--format", "markdown", "--rendered")
    assert diff_markdown.LIMIT * 0.9 < len(out.encode()) <= diff_markdown.LIMIT
    assert "**Left out**" in out
    assert re.search(r"[\d,]+ of [\d,]+ lines of “files \(\d+\)”", out)
    outside_of_fences(out)
    _, out, _ = diff(capsys, "--format", "markdown")
    assert "Left out" not in out
    assert "… and 70 more" in out


def test_a_comment_about_nothing_says_so(git, capsys):
    assert diff(capsys, "--format", "markdown") == (0, "### meshctl diff: no change\n", "")


def test_no_line_of_a_file_ends_a_block(git):
    sides = (pipeline.validate("first:mesh.yaml"), pipeline.validate("mesh.yaml"))
    files = (FileChange(Sign.CHANGED, "a", (" ```", " `````", "@all <b>")),)
    told = diff_markdown.render(pipeline.compare(*sides), files, ())
    assert "@all" in told
    assert "@all" not in outside_of_fences(told)
