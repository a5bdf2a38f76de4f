"""`meshctl test`: what passes, what differs and who decided it, in every format, offline and through real proxies."""

from __future__ import annotations

import gc
import json
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import xmlschema
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from meshctl import pipeline
from meshctl.cli.app import run
from tests.turns import turn

ROOT = Path(__file__).resolve().parents[2]
SHOP = ROOT / "examples" / "shop"
REFERENCE = ROOT / "tests" / "golden" / "reference"
JUNIT = xmlschema.XMLSchema(str(ROOT / "tests" / "schemas" / "junit-10.xsd"))

MESH = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {catalog: {}, plain: {}}}
  stream: {port: 5432, protocol: tcp, endpoints: [{address: 10.0.0.7}], allow: [{from: [stranger]}]}
  stranger: {port: 80, endpoints: [{address: 10.0.0.9}]}
  plain: {port: 80, endpoints: [{address: 10.0.0.8}]}
  catalog:
    port: 80
    endpoints: [{address: 10.0.0.2, subset: v1}, {address: 10.0.0.3, subset: v2}]
    timeout: 2s
    retries: {attempts: 2, retryOn: [gateway-error]}
    routes:
      - name: beta
        matches:
          - {path: {prefix: /beta}}
          - {path: {prefix: /b}}
        backends: [{subset: v1, weight: 2}, {subset: v2, weight: 1}, {service: plain, weight: 0}]
        rewrite: {path: {prefix: /x}, hostname: inner}
        requestHeaders: {set: {x-a: "1"}, remove: [x-c]}
        timeout: 1s
      - {name: gone, matches: [{path: {exact: /gone}}], respond: {status: 410}}
      - {name: moved, matches: [{path: {exact: /moved}}], redirect: {path: {full: /new}}}
      - name: rest
        mirror:
          - {subset: v2, percent: 5%}
    allow:
      - {from: [web], methods: [GET]}
    deny:
      - {from: ["*"], paths: [{prefix: /admin}]}
"""
BETA = "{from: web, url: 'http://catalog/beta/y?q', headers: {x-c: '1'}}"
REST = "{from: web, url: http://catalog/y}"
POST = "{from: web, method: POST, url: http://catalog/y}"
ADMIN = "{from: web, url: http://catalog/admin}"
GONE = "{from: web, url: http://catalog/gone}"
MOVED = "{from: web, url: http://catalog/moved}"
NOBODY = "{from: stranger, url: http://catalog/}"
PLAIN = "{from: web, url: http://plain/}"

# request, what is right, what is not, and the beginning of the line that decides (empty: no line does)
EXPECTATIONS = [
    (BETA, "status: 200", "status: 403", "- {path: {prefix: /beta}}"),
    (POST, "status: 403", "status: 200", "- {from: [web]"),
    (ADMIN, "status: 403", "status: 200", '- {from: ["*"]'),
    (GONE, "status: 410", "status: 200", "{path: {exact: /gone}}"),
    (NOBODY, "status: 403", "status: 200", ""),
    (BETA, "route: beta", "route: rest", "- {path: {prefix: /beta}}"),
    ("{from: web, url: http://catalog/b}", "route: beta", "route: rest", "- {path: {prefix: /b}}"),
    (REST, "callee: catalog", "callee: plain", "- name: rest"),
    (
        BETA,
        "backends: {v1: 66.67%, v2: 33.33%}",
        "backends: {v1: 66.6%, v2: 33.4%}",
        "- {path: {prefix: /beta",
    ),
    (
        BETA,
        "backends: {catalog.v1: 66.67%, v2: 33.33%, plain: 0%}",
        "backends: {v1: 66.67%}",
        "- {path: {prefix:",
    ),
    (GONE, "backends: {}", "backends: {v1: 100%}", "{path: {exact: /gone}}"),
    (REST, "mirrors: {v2: 5%}", "mirrors: {}", "- {subset: v2, percent: 5%}"),
    (BETA, "mirrors: {}", "mirrors: {v2: 5%}", "- {path: {prefix: /beta}}"),
    (BETA, "timeout: 1s", "timeout: 2s", "timeout: 1s"),
    (REST, "timeout: 2s", "timeout: 1s", "timeout: 2s"),
    (PLAIN, "timeout: 15s", "timeout: 0s", ""),
    (REST, "tries: 3", "tries: 2", "retries:"),
    (GONE, "tries: 0", "tries: 1", "{path: {exact: /gone}}"),
    (BETA, "path: /x/y", "path: /beta/y", "rewrite:"),
    (BETA, "path: '/x/y?q'", "path: '/x/y?'", "rewrite:"),
    (BETA, "host: inner", "host: catalog", "rewrite:"),
    (ADMIN, "status: 403", "path: /admin", '- {from: ["*"]'),
    (BETA, "headers: {x-a: '1'}", "headers: {x-a: '2'}", "requestHeaders:"),
    (BETA, "headers: {x-a: ['1']}", "headers: {x-a: ['1', '1']}", "requestHeaders:"),
    (BETA, "headers: {X-C: null}", "headers: {x-a: null}", "requestHeaders:"),
    (BETA, "headers: {x-c: []}", "headers: {x-c: '1'}", "requestHeaders:"),
    (MOVED, "location: http://catalog/new", "location: /new", "{path: {exact: /moved}}"),
    (REST, "status: 200", "location: /new", "- name: rest"),
    (PLAIN, "callee: plain", "callee: catalog", "plain: {port: 80"),
    ("{from: web, url: http://stranger/}", "status: 403", "status: 200", "calls: {catalog"),
    (PLAIN, "headers: {x-mesh-identity: 'spiffe://shop.example/web'}", "headers: {X-Mesh-Identity: x}", ""),
    ("{from: web, url: 'http://catalog/a/../b'}", "status: 400", "status: 200", ""),
    ("{from: web, url: 'http://catalog?x'}", "path: '/?x'", "path: '/?y'", "- name: rest"),
]


@pytest.fixture
def mesh(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mesh.yaml").write_text(MESH, "utf-8")
    return tmp_path


def write(*tests, name="a.test.yaml"):
    lines = [
        f"  - {{name: t{number}, request: {request}, expect: {{{expect}}}}}"
        for number, (request, expect) in enumerate(tests)
    ]
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text("\n".join(["tests:", *lines, ""]), "utf-8")


NOT_THERE = [
    ("route: rets", "route", "Did you mean `rest`?"),
    ("callee: catlog", "service or external", "Did you mean `catalog`?"),
    ("backends: {v3: 10%}", "service, external or subset", "There are catalog, catalog.v1, catalog.v2,"),
    ("mirrors: {catalog.v9: 10%}", "service, external or subset", "Did you mean `catalog.v2`?"),
]


@pytest.mark.parametrize(("expected", "kind", "fix"), NOT_THERE)
def test_an_expectation_of_what_there_is_not_is_told_where_it_is_written(mesh, capsys, expected, kind, fix):
    write((REST, expected))
    assert run(["test", "mesh.yaml"]) == 2
    told = capsys.readouterr().err
    assert f"there is no {kind} named" in told
    assert "a.test.yaml:2:" in told
    assert fix in told


def test_a_name_stands_for_one_test(mesh, capsys):
    line = f"  - {{name: twice, request: {REST}, expect: {{status: 200}}}}"
    Path("a.test.yaml").write_text(f"tests:\n{line}\n{line}\n", "utf-8")
    assert run(["test", "mesh.yaml"]) == 2
    told = capsys.readouterr().err
    assert "a second test is called `twice`" in told
    assert "a.test.yaml:3:12" in told


@pytest.mark.parametrize("command", ["test", "validate", "build"])
def test_a_file_of_tests_is_no_spec(mesh, capsys, command):
    write((REST, "status: 200"))
    assert run([command, "a.test.yaml"]) == 2
    assert "a.test.yaml: this is a file of route tests; name the spec" in capsys.readouterr().err


@pytest.mark.parametrize(("request_", "right", "wrong", "line"), EXPECTATIONS)
def test_an_expectation_passes_or_names_the_line_that_decided(mesh, request_, right, wrong, line):
    write((request_, right), (request_, wrong))
    good, bad = pipeline.run_route_tests("mesh.yaml").verdicts
    assert good.differences == ()
    (difference,) = bad.differences
    assert difference.key == wrong.partition(":")[0]
    assert difference.at is not None
    assert difference.at.line == 3
    assert difference.why
    if not line:
        assert difference.decided is None
        return
    assert difference.decided is not None
    assert difference.decided.file == "mesh.yaml"
    written = MESH.splitlines()[difference.decided.line - 1]
    assert line in written
    assert written[difference.decided.column - 1 :].startswith(line.removeprefix("- "))


def test_every_expectation_of_the_language_is_tried():
    from meshctl.spec.route_tests import ExpectationSpec

    assert {wrong.partition(":")[0] for _, _, wrong, _ in EXPECTATIONS} == set(ExpectationSpec.model_fields)


def test_coverage_names_what_no_test_comes_by(mesh, capsys):
    write((REST, "status: 200"), (GONE, "status: 410"))
    assert run(["test", "--coverage"]) == 0
    assert capsys.readouterr().out == (
        "mesh.yaml:16:13: untested: route `beta` of `catalog`\n"
        "mesh.yaml:17:13: untested: route `beta` of `catalog`\n"
        "mesh.yaml:23:33: untested: route `moved` of `catalog`\n"
        "mesh.yaml:30:9: untested: a rule of `catalog` under `deny`\n"
        "3 of 7 routes and rules tested\n"
    )
    write(
        *(
            (each, "tries: 0")
            for each in (BETA, "{from: web, url: http://catalog/b}", ADMIN, GONE, MOVED, REST)
        )
    )
    assert run(["test", "--coverage"]) == 1
    assert capsys.readouterr().out.endswith("7 of 7 routes and rules tested\n")


@pytest.mark.parametrize(
    ("request_", "wrong", "why"),
    [
        (PLAIN, "callee: web", "`plain` has no routes of its own"),
        (PLAIN, "timeout: 1s", "the timeout that holds for route `default` is the default"),
        (REST, "timeout: 1s", "the timeout that holds for route `rest`"),
        (REST, "tries: 1", "the retries that hold for route `rest`"),
        (REST, "status: 500", "route `rest`; its application is taken to answer 200"),
        (
            PLAIN,
            "headers: {x-mesh-identity: x}",
            "the callee's sidecar says who calls, whatever the request claims",
        ),
        ("{from: web, url: http://stranger/}", "path: /", "`web` does not call `stranger`"),
    ],
)
def test_the_words_for_what_decided(mesh, request_, wrong, why):
    write((request_, wrong))
    (verdict,) = pipeline.run_route_tests("mesh.yaml").verdicts
    assert [each.why for each in verdict.differences] == [why]


def test_another_proxy_is_asked_for(mesh, capsys):
    rpc = "  rpc: {port: 80, protocol: grpc, endpoints: [{address: 10.0.0.5}], retries: {attempts: 1, retryOn: [unavailable]}}\n"
    Path("mesh.yaml").write_text(MESH.replace("plain: {}}", "plain: {}, rpc: {}}") + rpc, "utf-8")
    write((REST, "status: 200"))
    assert run(["test"]) == run(["test", "--proxy", "envoy"]) == 0
    capsys.readouterr()
    assert run(["test", "--proxy", "nginx"]) == 1
    assert "retry on a gRPC status on the nginx sidecar of `web`" in capsys.readouterr().err


def test_exit_codes_and_streams(mesh, capsys):
    assert run(["test"]) == 2
    assert "no *.test.yaml" in capsys.readouterr().err
    write((REST, "status: 200"))
    assert run(["test"]) == 0
    assert capsys.readouterr() == ("", "1 test, none failed\n")
    write((REST, "status: 403"))
    assert run(["test"]) == 1
    out, err = capsys.readouterr()
    assert err == "1 test, 1 failed\n"
    assert out == (
        "a.test.yaml:2:5: failed: t0\n"
        "    status: expected 403, got 200\n"
        "        decided by mesh.yaml:24:9: route `rest`; its application is taken to answer 200\n"
        "       24 |       - name: rest\n"
        "          |         ^^^^\n"
    )
    Path("mesh.yaml").write_text(MESH.replace("timeout: 2s", "timeout: 2"), "utf-8")
    assert run(["test"]) == 1
    assert "MSH1006" in capsys.readouterr().err


MISTAKES = [
    (
        "tests: [{name: a, requst: {}}]",
        "a.test.yaml:1:19: error MSH1001 unknown-key",
        "Did you mean `request`?",
    ),
    (
        f"tests: [{{name: a, request: {REST}, expect: {{rout: b}}}}]",
        "unknown-key: `rout`",
        "Did you mean `route`?",
    ),
    (
        f"tests: [{{name: a, request: {REST}, expect: {{timeout: 5}}}}]",
        "`tests[0].expect.timeout` must be",
        "`5s`",
    ),
    (f"tests: [{{name: a, request: {REST}, expect: {{}}}}]", "MSH1007 empty-value: `tests[0].expect`", ""),
    (f"tests: [{{name: a, request: {REST}}}]", "`expect` is missing from `tests[0]`", ""),
    ("tests: []", "MSH1007 empty-value: `tests`", ""),
    ("", "a.test.yaml:1:1: error MSH1007 empty-value", ""),
    ("tests: [", "MSH0001 yaml-syntax", ""),
    (
        "tests: [{name: a, request: {from: wbe, url: http://x/}, expect: {status: 200}}]",
        "MSH1002",
        "Did you mean `web`?",
    ),
    (
        "tests: [{name: a, request: {from: web, url: https://x/}, expect: {status: 200}}]",
        "begin with http://",
        "",
    ),
    (
        r'tests: [{name: a, request: {from: web, url: "http://a\nb/"}, expect: {status: 200}}]',
        "must be a URL",
        "",
    ),
    ("tests: [{name: a, request: {from: web, url: http:///x}, expect: {status: 200}}]", "must be a URL", ""),
    ("tests: [{name: a, request: {from: web, url: http://x/ü}, expect: {status: 200}}]", "must be a URL", ""),
    (
        "tests: [{name: a, request: {from: web, url: http://x/}, expect: {headers: {a: {}}}}]",
        "headers.a` must be",
        "",
    ),
    ("services: {}", "MSH1001 unknown-key: `services` is not a key of the file", ""),
]


@pytest.mark.parametrize(("text", "told", "fix"), MISTAKES)
def test_a_test_file_with_a_mistake_is_told_at_its_place(mesh, capsys, text, told, fix):
    Path("a.test.yaml").write_text(text, "utf-8")
    assert run(["test"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err
    assert fix in err


def test_which_files_are_test_files(mesh, capsys):
    for name in (
        "a.test.yaml",
        "b.test.yml",
        "c.yaml",
        ".d.test.yaml",
        "sub/e.test.yaml",
        ".git/f.test.yaml",
        "policies/g.test.yaml",
    ):
        write((REST, "status: 200"), name=name)
    Path("c.yaml").unlink()
    Path("link").symlink_to("sub")
    assert run(["test", "mesh.yaml"]) == 0
    assert capsys.readouterr().err == "2 tests, none failed\n"
    Path("link").unlink()
    assert run(["test", "."]) == 0
    assert capsys.readouterr().err == "3 tests, none failed\n"


def test_an_environment_is_tested_as_it_is_there(mesh):
    write((REST, "timeout: 9s"))
    Path("environments").mkdir()
    Path("environments/prod.yaml").write_text("services: {catalog: {timeout: 9s}}\n", "utf-8")
    assert run(["test"]) == 1
    assert run(["test", "--env", "prod"]) == 0


HOSTILE = "'::error::x, %0A <&> ]]> `'"


def test_every_format_is_what_its_readers_expect(mesh, capsys):
    write((REST, "status: 200"), (REST, "status: 403, path: /z"))
    text = Path("a.test.yaml").read_text("utf-8").replace("name: t1", f"name: {HOSTILE}")
    Path("a.test.yaml").write_text(text, "utf-8")
    assert run(["test", "--format", "json", "--coverage"]) == 1
    document = json.loads(capsys.readouterr().out)
    schema = json.loads((ROOT / "schemas" / "tests.schema.json").read_text("utf-8"))
    assert [each.message for each in Draft202012Validator(schema).iter_errors(document)] == []
    assert document["summary"] == {"tests": 2, "failed": 1}
    assert [each["key"] for each in document["tests"][1]["differences"]] == ["status", "path"]
    assert len(document["coverage"]["untested"]) == 5
    assert run(["test", "--format", "junit"]) == 1
    out = capsys.readouterr().out
    JUNIT.validate(out)
    cases = ET.fromstring(out).findall("testsuite/testcase")  # noqa: S314 - our own
    assert [each.get("name") for each in cases] == ["t0", HOSTILE.strip("'")]
    assert [len(each.findall("failure")) for each in cases] == [0, 1]
    assert run(["test", "--format", "github", "--coverage"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "::error title=%3A%3Aerror%3A%3Ax%2C %250A <&> ]]> `,file=a.test.yaml,line=3,col=5::status: expected 403, got 200"
        "%0Adecided by mesh.yaml:24:9: route `rest`; its application is taken to answer 200"
        "%0Apath: expected /z, got /y%0Adecided by mesh.yaml:24:9: route `rest`"
    )
    assert [line.partition(" ")[0] for line in lines[1:]] == ["::notice"] * 5


def test_the_schema_for_editors_takes_what_the_command_takes():
    schema = Draft202012Validator(
        json.loads((ROOT / "schemas" / "route-tests.schema.json").read_text("utf-8"))
    )

    def errors(text):
        return list(schema.iter_errors(json.loads(json.dumps(YAML(typ="safe", pure=True).load(text)))))

    for path in (SHOP / "shop.test.yaml", REFERENCE / "reference.test.yaml"):
        assert errors(path.read_text("utf-8")) == []
    for text in (
        text
        for text, told, _ in MISTAKES
        if "yaml-syntax" not in told and "MSH1002" not in told and "begin" not in told
    ):
        if (
            "ü" not in text and "http:///" not in text and "\\n" not in text
        ):  # no pattern holds all of a URL's rules
            assert errors(text), text


@pytest.mark.parametrize("spec", [SHOP, REFERENCE / "mesh.yaml"], ids=["shop", "reference"])
def test_the_examples_pass_their_own_tests_and_leave_nothing_out(spec, capsys):
    assert run(["test", str(spec), "--coverage"]) == 0
    parts, _, whole = capsys.readouterr().out.splitlines()[-1].partition(" of ")
    assert parts == whole.partition(" ")[0]


def test_ten_thousand_tests_take_less_than_five_seconds(mesh):
    """Of processor time, for other work on the machine is not ours. The command collects no garbage either."""
    count = 10_000 // len(EXPECTATIONS) + 1
    write(*((request, right) for request, right, _, _ in EXPECTATIONS * count))
    gc.collect()
    gc.disable()
    try:
        began = time.process_time()
        tested = pipeline.run_route_tests("mesh.yaml")
        spent = time.process_time() - began
    finally:
        gc.enable()
    assert (len(tested.verdicts), tested.failed) == (count * len(EXPECTATIONS), 0)
    assert spent < 5


def meshctl(*arguments):
    argv = (sys.executable, "-m", "meshctl", *map(str, arguments))
    with turn("up"):
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=180)


# A mesh on loopback always has the same addresses, so these tests take turns.
@pytest.mark.xdist_group("up")
@pytest.mark.parametrize(
    ("spec", "more"),
    [(SHOP, ()), (REFERENCE / "mesh.yaml", ()), (SHOP, ("--proxy", "haproxy"))],
    ids=["shop", "reference", "shop on another proxy"],
)
def test_real_proxies_pass_the_same_tests(spec, more):
    done = meshctl("test", spec, "--live", *more)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


WRONG = """\
tests:
  - name: everything else is expected of a real proxy
    request: {from: web, url: http://catalog/items}
    expect:
      {status: 403, route: testers, callee: auth, backends: {auth: 100%}, path: /x, host: y, headers: {x-a: "1"}, location: z}
"""


@pytest.mark.xdist_group("up")
def test_real_proxies_fail_what_they_do_otherwise(tmp_path):
    shutil.copytree(SHOP, tmp_path / "shop")
    (tmp_path / "shop" / "shop.test.yaml").write_text(WRONG, "utf-8")
    done = meshctl("test", tmp_path / "shop", "--live", "--format", "json")
    assert done.returncode == 1, done.stderr
    (test,) = json.loads(done.stdout)["tests"]
    keys = ("status", "route", "callee", "backends", "path", "host", "headers", "location")
    assert {each["key"] for each in test["differences"]} == {*keys, *(f"live {key}" for key in keys)}


PLAINTEXT = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {legacy: {}}}
  legacy:
    port: 80
    endpoints: [{address: 10.0.0.2}]
    mtls: {mode: permissive, until: "2099-01-01"}
    allow:
      - {from: [unauthenticated], paths: [{prefix: /old}]}
      - {from: [web]}
    deny: [{paths: [{prefix: /old/no}]}]
  sure: {port: 80, endpoints: [{address: 10.0.0.3}]}
  ledger: {port: 5432, protocol: tcp, endpoints: [{address: 10.0.0.4}]}
"""


def plaintext_tests(folder, *rows):
    (folder / "mesh.yaml").write_text(PLAINTEXT)
    lines = [
        f"  - {{name: n{number}, request: {{from: unauthenticated, url: '{url}'}}, expect: {{{expect}}}}}"
        for number, (url, expect) in enumerate(rows)
    ]
    (folder / "mesh.test.yaml").write_text("tests:\n" + "\n".join(lines) + "\n")
    return str(folder / "mesh.yaml")


PASSING = (
    ("http://legacy/old", "status: 200, callee: legacy, path: /old, headers: {x-mesh-identity: null}"),
    ("http://legacy.shop.mesh:80/old/x?a=1", "status: 200, path: '/old/x?a=1'"),
    ("http://legacy/old/no", "status: 403"),
    ("http://legacy/new", "status: 403"),
    ("http://legacy/old//x", "status: 400"),
)


def test_callers_without_a_certificate(tmp_path, capsys):
    assert run(["test", plaintext_tests(tmp_path, *PASSING), "--coverage"]) == 0
    out = capsys.readouterr().out
    assert "2 of 3 routes and rules tested" in out
    # The rule about web is the only part that none comes by.
    assert f"mesh.yaml:{PLAINTEXT.splitlines().index('      - {from: [web]}') + 1}" in out


def test_what_decided_about_callers_without_a_certificate(tmp_path, capsys):
    spec = plaintext_tests(
        tmp_path, ("http://legacy/old/no", "status: 200"), ("http://legacy/old", "status: 403")
    )
    assert run(["test", spec]) == 1
    out = capsys.readouterr().out
    deny = next(n for n, line in enumerate(PLAINTEXT.splitlines(), 1) if "deny:" in line)
    assert "status: expected 200, got 403" in out
    assert f"mesh.yaml:{deny}:" in out
    assert "status: expected 403, got 200" in out


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://legacy/", "requests without a certificate begin with http://"),
        ("http://legaci/", "Did you mean `legacy`?"),
        ("http://sure/", "`sure` takes mutual TLS only: without a certificate there is no answer to expect"),
        ("http://ledger/", "`ledger` is a stream, without requests"),
    ],
)
def test_what_cannot_be_asked_without_a_certificate(tmp_path, capsys, url, why):
    assert run(["test", plaintext_tests(tmp_path, (url, "status: 200"))]) == 2
    assert why in capsys.readouterr().err


@pytest.mark.xdist_group("up")
def test_callers_without_a_certificate_through_real_proxies(tmp_path):
    """The service three times, each behind another proxy."""
    head, _, rest = PLAINTEXT.partition("  legacy:\n")
    body, _, _ = rest.partition("  sure:")
    names = {proxy: f"legacy-{proxy}" for proxy in ("envoy", "haproxy", "nginx")}
    rows = [
        (url.replace("legacy", name), expect.replace("callee: legacy", f"callee: {name}"))
        for name in names.values()
        for url, expect in PASSING
    ]
    spec = Path(plaintext_tests(tmp_path, *rows))
    copies = (
        f"  {name}:\n    proxy: {proxy}\n{body.replace('10.0.0.2', f'10.0.1.{number}')}"
        for number, (proxy, name) in enumerate(names.items())
    )
    spec.write_text(
        head.replace("legacy: {}", ", ".join(f"{name}: {{}}" for name in names.values())) + "".join(copies)
    )
    with turn("up"):
        found = pipeline.run_route_tests_live(str(spec), tmp_path / "out", now=datetime.now(UTC))
    assert [each.differences for each in found.verdicts] == [()] * len(rows)
