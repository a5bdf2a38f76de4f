"""`meshctl explain request`: each step says what happens and names the line that decided."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from meshctl import pipeline, simulate
from meshctl.cli.app import run
from tests.cli import sequence_grammar

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = Draft202012Validator(json.loads((ROOT / "schemas" / "request.schema.json").read_text()))

SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example, resolvers: ["127.0.0.53:53"]}
defaults: {timeout: 5s}
services:
  web:
    port: 8080
    zone: a
    endpoints: [{address: 10.0.1.10}]
    calls:
      catalog: {timeout: 3s, localPort: 15081}
      stripe: {}
      ledger: {localPort: 15432}
  other: {port: 80, endpoints: [{address: 10.0.9.9}], calls: {catalog: {}}}
  catalog:
    port: 8080
    endpoints:
      - {address: 10.0.2.10, zone: a, subset: v1}
      - {address: 10.0.2.11, zone: b, subset: v1, weight: 2}
      - {address: 10.0.2.20, zone: b, subset: v2}
    locality: {preferSameZone: true}
    outlierDetection: {consecutiveErrors: 3}
    healthPath: /healthz
    rateLimit: {requests: 100, per: 1s, burst: 50, key: caller}
    loadBalancing: {policy: ring-hash, hashOn: {header: x-user}}
    retries:
      attempts: 2
      retryOn: [connect-failure, gateway-error]
      perTryTimeout: 800ms
      backoff: {base: 25ms, max: 250ms}
    routes:
      - name: search
        matches: [{path: {prefix: /search}}]
        backends: [{service: search}]
      - name: split
        matches: [{path: {prefix: /split}}]
        backends: [{service: search, weight: 1}, {subset: v1, weight: 3}]
      - name: legacy
        matches: [{path: {prefix: /legacy}, methods: [GET]}]
        rewrite: {path: {prefix: /v1}, hostname: catalog.internal}
        requestHeaders: {set: {x-a: "1"}, remove: [x-c]}
        responseHeaders: {add: {x-r: "1"}}
      - {name: old, matches: [{path: {exact: /old}}], redirect: {status: 301, path: {full: /new}}}
      - name: chaos
        matches: [{path: {prefix: /chaos}, headers: {x-b: {regex: "a+"}}, query: {q: "1"}}]
        mirror: [{service: search, percent: 5%}]
        fault: {delay: {duration: 1s, percent: 10%}, abort: {status: 503, percent: 1%}}
      - {name: dead, matches: [{path: {exact: /dead}}], fault: {abort: {status: 500}}}
      - {name: slow, matches: [{path: {exact: /slow}}], timeout: 1s}
      - {name: once, matches: [{path: {exact: /once}}], retries: {attempts: 0}}
      - {name: tunnel, matches: [{path: {exact: /tunnel}}], streaming: true}
      - {name: rest, matches: [{path: {prefix: /}, methods: [GET, POST]}]}
    allow:
      - {from: [web], methods: [GET, HEAD]}
    deny:
      - {paths: [{prefix: /admin}]}
  search: {port: 80, endpoints: [{address: 10.0.3.1}], deny: [{paths: [{prefix: /search/no}]}]}
  ledger: {port: 80, protocol: tcp, endpoints: [{address: 10.0.4.1}]}
  lonely: {port: 80, endpoints: [{address: 10.0.6.1}]}
externals:
  stripe:
    hosts: [api.stripe.com]
    port: 443
    tls: {}
gateways:
  edge:
    bind: 0.0.0.0
    port: 8443
    endpoints: [{address: 10.0.0.5}]
    hostnames: [shop.example]
    tls: {certificate: /etc/shop/edge.pem, key: /etc/shop/edge.key}
    calls: {web: {timeout: 2s}}
"""
LINES = SPEC.splitlines()


@pytest.fixture
def explain(tmp_path, monkeypatch, capsys):
    (tmp_path / "mesh.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)

    def ask(form, url, caller="web", *more):
        code = run(["explain", "request", url, "--from", caller, "--format", form, *more])
        out, err = capsys.readouterr()
        assert code == 0, err
        return out

    return ask


@pytest.fixture
def told(explain):
    """Every step as ``topic: text``, with the text of the line that decided, `default`, or nothing."""

    def ask(url, caller="web", *more):
        document = json.loads(explain("json", url, caller, *more))
        assert not list(SCHEMA.iter_errors(document))
        steps = [*document["steps"], *document["back"]]
        for hop in document["hops"]:
            steps += [*hop["steps"], *hop["arrival"]]
        return [
            (
                f"{each['topic']}: {each['text']}",
                LINES[each["origin"]["line"] - 1] if each["origin"] else "default" if each["default"] else "",
            )
            for each in steps
        ]

    return ask


OUT = "tls: out of the mesh over TLS 1.2 or newer: shows no certificate, verifies api.stripe.com by /etc/"
TABLE = [
    ("http://catalog/x", "gate: the request is canonical", ""),
    ("http://catalog/x", "host: `catalog` is the service `catalog`, which `web` calls", "catalog: {timeout"),
    ("http://catalog/x", "route: not old: the path is not `/old`", "exact: /old"),
    ("http://catalog/x", "route: not split: the path is not `/split` and not below it", "prefix: /split"),
    ("http://catalog/x", "route: rest: matches any path, GET or POST", "name: rest"),
    ("http://catalog/x", "backends: all to `catalog`", "name: rest"),
    ("http://catalog/x", "tries: again on connect-failure, gateway-error", "retries:"),
    ("http://catalog/x", "tries: 3 at most", "attempts: 2"),
    ("http://catalog/once", "tries: one, and no retry", "attempts: 0"),
    ("http://api.stripe.com/", "tries: 2 at most", "default"),
    (
        "http://catalog/x",
        "tries: a pause of up to 25ms before a retry, doubled each time, at most 250ms",
        "backoff",
    ),
    ("http://catalog/x", "time: at most 2s475ms: 3 tries x 800ms + pauses 25ms + 50ms = 2s475ms", "perTry"),
    ("http://catalog/x", "endpoint: by ring-hash on header `x-user`", "loadBalancing"),
    ("http://catalog/x", "endpoint: level 1 of 2: 10.0.2.10:15006", "endpoints:"),
    (
        "http://catalog/x",
        "endpoint: level 2 of 2: 10.0.2.11:15006 (weight 2), 10.0.2.20:15006 (weight 1)",
        "endp",
    ),
    (
        "http://catalog/x",
        "health: 3 errors in a row eject an endpoint for 30s, 50% of them at most",
        "outlier",
    ),
    ("http://catalog/x", "bounds: 1024 requests on 1024 connections; over that 503 at once", "default"),
    (
        "http://catalog/x",
        "tls: HTTP/1.1 over mutual TLS 1.3: shows spiffe://shop.example/web, verifies catalog.spiffe.shop.example (spiffe:",
        "default",
    ),
    ("http://catalog/x", "access: an allow rule lets `web` in (from `web`; GET, HEAD)", "from: [web]"),
    ("http://catalog/x", "rate limit: 100 in 1s for each caller, 50 at once; over that 429", "rateLimit"),
    (
        "http://catalog/slow",
        "time: at most 1s: the timeout of 1s (the tries alone: 3 tries x 800ms",
        "name: slow",
    ),
    ("http://catalog/tunnel", "time: it streams: no limit but idleTimeout", "name: tunnel"),
    ("http://catalog/legacy/x?q=1", "filter: the target `/legacy/x?q=1` becomes `/v1/x?q=1`", "rewrite"),
    ("http://catalog/legacy", "filter: the host becomes `catalog.internal`", "rewrite"),
    ("http://catalog/legacy", "filter: header `x-c` is removed", "requestHeaders"),
    ("http://catalog/legacy", "filter: header `x-a` becomes `1`", "requestHeaders"),
    ("http://catalog/legacy", "response: header of the answer is added: `x-r: 1`", "responseHeaders"),
    (
        "http://catalog/old?a=1",
        "answer: the sidecar answers 301, location http://catalog/new?a=1",
        "redirect",
    ),
    ("http://catalog/chaos?q=2", "route: not chaos: there is no header `x-b`", "x-b"),
    ("http://catalog/dead", "fault: 100% of the requests are answered 500", "abort: {status: 500}"),
    ("http://catalog/split", "backends: one draw for all tries: 25% `search`, 75% `catalog.v1`", "weight: 1"),
    ("http://catalog/split", "access: `web` is let in, for its call is declared", "weight: 1"),
    (
        "http://catalog/search/no/1",
        "access: a deny rule refuses (from everybody; path `/search/no` and",
        "deny",
    ),
    (
        "http://catalog/admin",
        "access: a deny rule refuses (from everybody; path `/admin` and below): 403",
        "/admin",
    ),
    ("http://lonely/", "host: `web` does not list the service `lonely` under `calls`: 403", "calls:"),
    ("http://nobody/", "host: the mesh has no service `nobody`: 403", "calls:"),
    (
        "http://x.example/",
        "host: `x.example` is neither a service nor an external that `web` calls: 404",
        "default",
    ),
    (
        "http://ledger/",
        "host: `ledger` is a stream, which has a local port of `web` and no host: 403",
        "ledger",
    ),
    ("http://localhost:15081/x", "host: local port 15081 leads to `catalog`, whatever the host", "localPort"),
    (
        "http://catalog/a b",
        "gate: the path is not canonical: a blank or another byte that is not printable ASCII (a blank is %20): 400",
        "",
    ),
    ("http://catlog/", "host: the mesh has no service `catlog`: 403; did you mean `catalog`?", "calls"),
    ("http://catalog/../x", "gate: the path is not canonical: a segment . or ..: 400", ""),
    (
        "http://api.stripe.com/",
        "host: `api.stripe.com` is the external `stripe`, which `web` calls",
        "stripe: {}",
    ),
    ("http://api.stripe.com/", "route: default: takes every request", "default"),
    (
        "http://api.stripe.com/",
        "endpoint: the addresses of `api.stripe.com`, asked again every 30s",
        "stripe:",
    ),
    (
        "http://api.stripe.com/",
        OUT,
        "tls: {}",
    ),
    ("http://api.stripe.com/", "time: at most 5s: the timeout of 5s", "defaults"),
]


@pytest.mark.parametrize(("url", "step", "line"), TABLE, ids=[f"{row[0]} {row[1][:30]}" for row in TABLE])
def test_a_step_and_the_line_that_decided_it(told, url, step, line):
    found = [where for text, where in told(url) if text.startswith(step)]
    assert found, told(url)
    assert line in found[0] if line else found[0] == ""


MORE = [
    (("other", "http://catalog/x"), "access: no: the rule is not about `other`", "from: [web]"),
    (("other", "http://catalog/x"), "access: nothing lets `other` do this to `catalog`: 403", "default"),
    (("other", "http://catalog/healthz"), "access: `other` may always ask for the health", "healthPath"),
    (("web", "http://catalog/x", "-X", "PUT"), "route: no route of `catalog` matches: 404", ""),
    (
        ("web", "http://catalog/x", "-X", "PUT"),
        "route: not rest: the method is not GET or POST",
        "name: rest",
    ),
    (("web", "http://catalog/x", "-X", "POST"), "access: no: the method is not GET or HEAD", "from: [web]"),
    (
        ("web", "http://catalog/x", "-X", "POST"),
        "tries: again on connect-failure; not again on gateway-error, for `POST` is not idempotent",
        "retries:",
    ),
    (
        ("web", "http://catalog/x", "-X", "get"),
        "gate: the method is not in capitals: 400; did you mean `GET`?",
        "",
    ),
    (("web", "http://a/", "-H", "host: catalog"), "host: `catalog` is the service `catalog`", "catalog"),
    (("web", "http://a/old", "-H", f"host: catalog:{'9' * 5000}"), "answer: the sidecar answers 301", "old"),
    (("web", "http://catalog:/x"), "host: `catalog` is the service `catalog`", "catalog"),
    (("web", "http://a/", "-H", "Host: a", "-H", "host: b"), "gate: there is not exactly one Host", ""),
    (
        ("web", "http://catalog/chaos?q=2", "-H", "x-b: aa"),
        "route: not chaos: query parameter `q` is not `1`",
        "x-b",
    ),
    (
        ("web", "http://catalog/chaos?q=1", "-H", "x-b: b"),
        "route: not chaos: header `x-b` does not fit",
        "x-b",
    ),
    (
        ("web", "http://catalog/chaos?q=1", "-H", "x-b: a"),
        "fault: 10% of the requests wait 1s first",
        "delay",
    ),
    (("web", "http://catalog/chaos?q=1", "-H", "x-b: a"), "mirror: 5% of the requests are copied", "mirror"),
    (("web", "http://catalog/chaos?q=1", "-H", "x-b: a"), "access: `web` is let in", "mirror"),
    (
        ("web", "http://catalog/chaos?q=1", "-H", "x-b: a"),
        "time: at most 3s475ms: a delay of 1s + 3 tries x 800ms + pauses 25ms + 50ms = 2s475ms",
        "perTry",
    ),
    (("edge", "https://shop.example/"), "host: gateway `edge` answers to `shop.example`", "hostnames"),
    (("edge", "https://shop.example/"), "access: `edge` is let in, for its call is declared", "calls: {web"),
    (("edge", "https://shop.example/"), "tries: 2 at most", "default"),
    (("edge", "https://evil/"), "host: gateway `edge` does not answer to `evil`: 404", "hostnames"),
]


@pytest.mark.parametrize(("asked", "step", "line"), MORE)
def test_a_step_of_another_request(told, asked, step, line):
    caller, url, *more = asked
    found = [where for text, where in told(url, caller, *more) if text.startswith(step)]
    assert found, told(url, caller, *more)
    assert line in found[0] if line else found[0] == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["http://catalog/", "--from", "wbe"],
            "there is no service or gateway `wbe` in the mesh; did you mean `web`?",
        ),
        (["http://catalog/", "--from", "ctalog"], "did you mean `catalog`?"),
        (["catalog", "--from", "web"], "`catalog` is not a URL of the form http://host/path"),
        (["ftp://catalog/", "--from", "web"], "is not a URL of the form http://host/path"),
        (["http:///x", "--from", "web"], "names no host"),
        (["http://:80/x", "--from", "web"], "names no host"),
        (["http://me@catalog/", "--from", "web"], "has a user name"),
        (["https://catalog/", "--from", "web"], "write http://"),
        (["http://catalog:²/", "--from", "web"], "is not a host"),
        (["http://catalog:65536/", "--from", "web"], "is not a host"),
        (["http://localhost:/", "--from", "nobody"], "there is no service or gateway `nobody`"),
        (["http://[::1:15081/", "--from", "web"], "is not a host"),
        (["http://shop.example/", "--from", "edge"], "gateway `edge` serves HTTPS; write https://"),
        (["http://127.0.0.1:15432/", "--from", "web"], "is a stream to `ledger`"),
        (["http://catalog/"], "say who asks"),
        (["--from", "web"], "name a URL"),
        (["http://catalog/", "http://search/", "--from", "web"], "one thing at a time"),
        (["http://catalog/", "--from", "web", "-X", ""], "the method is empty"),
        (["http://catalog/", "--from", "web", "--then", "'' http://catalog/"], "the method is empty"),
        (["http://catalog/", "--from", "web", "-H", "x"], "`x` is not a header"),
        (["http://catalog/", "--from", "web", "-H", "x: a\nb: c"], "is not a header"),
        (["http://catalog/", "--from", "web", "--spec", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_what_is_no_request_is_a_usage_error(explain, capsys, arguments, words):
    assert run(["explain", "request", *arguments]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("word", ["requets", "Request", "reqest"])
def test_a_slip_in_the_word_request_is_told(word, capsys):
    assert run(["explain", word, "http://catalog/"]) == 2
    assert capsys.readouterr().err == f"meshctl: there is nothing called `{word}`; did you mean `request`?\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["MSH1001", "--from", "web"],
        ["MSH1001", "--then", "http://a/"],
        ["--format", "mermaid"],
        ["MSH1001", "x"],
    ],
)
def test_options_of_requests_are_for_requests(arguments, capsys):
    assert run(["explain", *arguments]) == 2
    assert capsys.readouterr().err


def test_a_spec_with_errors_says_so(explain, tmp_path, capsys):
    (tmp_path / "mesh.yaml").write_text(SPEC.replace("timeout: 3s", "timeout: 3"))
    assert run(["explain", "request", "http://catalog/", "--from", "web"]) == 1
    assert "mesh.yaml:10:" in capsys.readouterr().err


REQUESTS = [
    (caller, method, url, headers)
    for caller in ("web", "other")
    for method in ("GET", "POST", "PUT", "CONNECT")
    for url in (
        *(
            f"http://catalog/{path}"
            for path in ("", "split", "search/no", "legacy/a?b", "old", "dead", "admin", "//")
        ),
        "http://catalog.shop.mesh:80/chaos?q=1",
        "http://lonely/",
        "http://ledger/",
        "http://x.example/",
        "http://api.stripe.com/",
    )
    for headers in ((), (("x-b", "aa"),))
]


def test_what_is_told_is_what_the_oracle_says(tmp_path):
    """The same requests, asked both ways: nothing may be told that is not so."""
    (tmp_path / "mesh.yaml").write_text(SPEC)
    mesh = pipeline.validate(str(tmp_path / "mesh.yaml")).require()
    for caller, method, url, headers in REQUESTS:
        outcome = simulate.request(mesh, caller, method, url, headers)
        found = simulate.explain(mesh, caller, method, url, headers)
        assert found.outcome == outcome
        routes = [each for each in found.steps if each.topic == "route" and not each.passed_over]
        if outcome.route:
            assert routes[-1].text.startswith(f"{outcome.route}: ")
        elif outcome.virtual_host:
            assert "404" in routes[-1].text
        assert tuple(each.backend for each in found.hops) == (*outcome.backends, *outcome.mirrors)
        for hop in found.hops:
            refused = [each.text for each in hop.arrival if each.text.endswith(": 403")]
            assert bool(refused) is (hop.backend.status == 403)
            limited = [each for each in hop.arrival if each.topic == "rate limit"]
            assert bool(limited) is (hop.backend.limit is not None)
        if outcome.status is not None and not found.hops:
            assert str(outcome.status) in found.steps[-1].text


@pytest.mark.parametrize(
    ("mode", "step"),
    [
        ("{mode: explicit}", "access: nothing lets `other` do this to `search`: 403"),
        ("{mode: open}", "access: everybody in the mesh is let in"),
        (
            "{mode: open, audit: true}",
            "access: a deny rule refuses (from everybody; path `/no` and below), but `audit`",
        ),
    ],
)
def test_the_mode_of_authorization_decides_where_no_rule_does(tmp_path, mode, step):
    spec = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example, authorization: %s}
services:
  other: {port: 80, endpoints: [{address: 10.0.9.9}], calls: {search: {}}}
  search: {port: 80, protocol: http2, endpoints: [{address: 10.0.3.1}], deny: [{paths: [{prefix: /no}]}]}
"""
    (tmp_path / "mesh.yaml").write_text(spec % mode)
    path = "no" if "audit" in mode else ""
    asked = simulate.Asked("GET", f"http://search/{path}")
    [hop] = pipeline.explain_request(str(tmp_path / "mesh.yaml"), "other", asked).calls[0].hops
    [access] = [each for each in hop.arrival if not each.passed_over]
    assert f"{access.topic}: {access.text}".startswith(step)
    assert access.at is not None
    assert access.at.line == (5 if "deny" in step else 2)
    assert any(each.text.startswith("HTTP/2 over mutual TLS") for each in hop.steps)


def test_the_text_fits_the_width_and_draws_the_way(explain):
    lines = explain("text", "http://catalog/split").splitlines()
    assert max(map(len, lines)) <= 100
    heads = [each for each in lines if each and each[0] not in " |"]
    assert heads == [
        "GET http://catalog/split",
        "web",
        "sidecar of web (envoy)",
        "sidecar of search",
        "search",
        "sidecar of web, with another draw",
        "sidecar of catalog",
        "catalog",
        "answer: what `catalog` or `search` answers, after at most 2s475ms",
    ]


def test_of_many_routes_the_last_that_do_not_match_are_told(tmp_path, explain):
    many = "".join(f"      - {{name: r{n}, matches: [{{path: {{exact: /r{n}}}}}]}}\n" for n in range(50))
    (tmp_path / "mesh.yaml").write_text(SPEC.replace("    routes:\n", f"    routes:\n{many}"))
    text = explain("text", "http://catalog/x")
    assert "51 that do not match, and:" in text
    assert text.count("not r") == 0
    document = json.loads(explain("json", "http://catalog/x"))
    assert sum(each["passedOver"] for each in document["steps"]) == 59


def test_the_words_of_an_answer_by_several(explain):
    answer = explain("text", "http://catalog/split", "other").splitlines()[-2:]
    assert " ".join(answer).startswith("answer: what `search` answers, or 403 of `catalog.v1` (")
    chaos = explain("text", "http://catalog/chaos?q=1", "web", "-H", "x-b: a")
    assert "answer: what `catalog` answers, or 503 by the fault, after at most 3s475ms" in chaos


PATH = (
    "http://catalog/x",
    "web",
    "--then",
    "GET http://web/ -H 'x-a: 1'",
)


@pytest.fixture
def calls_back(tmp_path, explain):
    """The same spec, in which `catalog` calls `web` and `search`, slower than `web` waits."""
    spec = SPEC.replace(
        "    healthPath: /healthz\n",
        "    healthPath: /healthz\n    calls: {web: {}, search: {timeout: 4s}}\n",
    )
    (tmp_path / "mesh.yaml").write_text(
        spec.replace("    zone: a\n", "    zone: a\n    allow: [{from: [catalog]}]\n")
    )


def test_a_path_is_drawn_call_by_call_and_as_a_whole(calls_back, explain):
    lines = explain(
        "text", "http://catalog/x", "web", "--then", "http://search/search/no", "--then", "http://web/"
    ).splitlines()
    assert max(map(len, lines)) <= 100
    heads = [each for each in lines if each and each[0] not in " |"]
    assert heads == [
        "--- call 1 of 2 ---",
        "GET http://catalog/x",
        "web",
        "sidecar of web (envoy)",
        "sidecar of catalog",
        "catalog",
        "answer: what `catalog` answers, after at most 2s475ms",
        "--- call 2 of 2 ---",
        "GET http://search/search/no",
        "catalog",
        "sidecar of catalog (envoy)",
        "sidecar of search",
        "answer: 403: `search` does not let `catalog` in",
        "--- the whole path ---",
    ]


def test_a_path_as_json(calls_back, explain):
    document = json.loads(explain("json", *PATH, "--then", "POST http://lonely/", "--then", "http://search/"))
    assert not list(SCHEMA.iter_errors(document))
    assert [each["caller"] for each in (document, *document["then"])] == ["web", "catalog", "web"]
    assert ["x-a", "1"] in document["then"][0]["request"]["headers"]
    path = document["path"]
    assert path["reaches"][0] == {"asked": 1, "tries": 3, "received": 3}
    assert path["neverAsked"] == [{"method": "GET", "url": "http://search/", "headers": []}]
    assert path["inversions"] == [{"outer": 0, "inner": 1, "patienceMs": 800, "limitMs": 5000}]
    assert json.loads(explain("json", "http://catalog/x"))["path"] is None


def test_the_lines_of_an_inversion_are_told(calls_back, explain, tmp_path):
    lines = (tmp_path / "mesh.yaml").read_text().splitlines()
    document = json.loads(explain("json", "http://catalog/x", "web", "--then", "http://search/x"))
    told = {each["text"]: each["origin"] for each in document["path"]["steps"] if each["topic"] == "budget"}
    (gives_up, first), (waits, second) = told.items()
    assert gives_up == "`web` ends a try at `catalog` after 800ms,"
    assert "perTryTimeout" in lines[first["line"] - 1]
    assert waits.startswith("but `catalog` may wait for `search` up to 4s")
    assert "search: {timeout: 4s}" in lines[second["line"] - 1]


def test_the_diagram_of_a_path_has_one_call_within_the_other(calls_back, explain):
    found = sequence_grammar.read(explain("mermaid", *PATH))
    assert ["".join(each[:3]) for each in found.messages] == [
        "client->>own",
        "own->>s0",
        "s0->>a0",
        "a0->>c1own",
        "c1own->>c1s0",
        "c1s0->>c1a0",
        "c1a0-->>c1s0",
        "c1s0-->>c1own",
        "c1own-->>a0",
        "a0-->>s0",
        "s0-->>own",
        "own-->>client",
    ]


@pytest.mark.parametrize(
    ("then", "words"),
    [
        ("", "is not of the form `[SERVICE:] [METHOD] URL"),
        ("catalog:", "is not of the form"),
        ("GET http://a/ b", "is not of the form"),
        ("GET 'http://a/", "a quotation has no end"),
        ("http://a/ -H", "a header is missing"),
        ("http://a/ -H x", "`x` is not a header"),
        ("search: http://a/", "`search` does not get `GET http://catalog/x`: `catalog` does"),
        ("\x1b[31m: http://a/", "does not get"),
    ],
)
def test_what_is_no_further_request(explain, capsys, then, words):
    assert run(["explain", "request", "http://catalog/x", "--from", "web", "--then", then]) == 2
    told = capsys.readouterr().err
    assert words in told
    assert "\x1b" not in told


def test_a_diagram_shows_every_way(explain):
    lines = explain("mermaid", "http://catalog/split").splitlines()
    assert lines[0] == "sequenceDiagram"
    assert [each for each in lines if each.startswith("    participant")] == [
        "    participant client as web",
        "    participant own as sidecar of web",
        "    participant s0 as sidecar of search",
        "    participant a0 as search",
        "    participant s1 as sidecar of catalog",
        "    participant a1 as catalog",
    ]
    assert [each.strip() for each in lines if each.strip().startswith(("alt", "else", "end"))] == [
        "alt 25% search",
        "else 75% catalog.v1",
        "end",
    ]
    assert len(sequence_grammar.read("\n".join(lines)).messages) == 10


HOSTILE = [
    "a;b",
    "<script>",
    "x\ny",
    "%%{init}%%",
    "a#b",
    "]end",
    '"q"',
    "\u202e",
    "$$x$$",
    "`x`",
    " end",
    "->>own: x",
    "&amp;",
    "é",
]


@pytest.mark.parametrize("target", HOSTILE)
def test_no_text_can_draw(explain, target):
    """Whatever stands in a request, the diagram is that of a request that goes through, or of one that is refused."""

    def shape(url, *more):
        found = sequence_grammar.read(explain("mermaid", url, "web", *more))
        return found.participants, [each[:3] for each in found.messages], len(found.notes)

    through, refused = shape("http://catalog/x"), shape("http://catalog//")
    assert shape(f"http://catalog/{target}") in (through, refused)
    assert shape("http://catalog//", "-X", f"wrap:{target}") == refused


WORDS = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services:
  end: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {loop: {}, as: {}}}
  loop:
    port: 80
    endpoints: [{address: 10.0.0.2}]
    routes: [{name: end, backends: [{service: loop, weight: 1}, {service: as, weight: 1}], mirror: [{service: note}]}]
  as: {port: 80, endpoints: [{address: 10.0.0.3}], calls: {alt: {}}}
  alt: {port: 80, endpoints: [{address: 10.0.0.4}], calls: {participant: {}}}
  note: {port: 80, endpoints: [{address: 10.0.0.5}]}
  participant: {port: 80, endpoints: [{address: 10.0.0.6}]}
"""


def test_services_may_be_called_as_mermaid_calls_its_own(explain, tmp_path):
    (tmp_path / "mesh.yaml").write_text(WORDS)
    path = ("--then", "as: http://alt/else", "--then", "http://participant/and")
    found = sequence_grammar.read(explain("mermaid", "http://loop/end", "end", *path))
    assert set(found.participants.values()) >= {"end", "loop", "as", "alt", "note", "participant"}
    assert ("own", "-)", "s2", "copies: 100% note") in found.messages
    assert ("a1", "->>", "c1own", "GET http://alt/else") in found.messages


@pytest.mark.parametrize(
    "lines",
    [
        "participant end as a",
        "participant a as x\na->>b: x",
        "participant a as x\na->>a: ",
        "participant a as x\na->>a: x;y",
        "participant a as x\na->>a: wrap:y",
        "participant a as x\na->>a: 1%%2",
        "participant a as x\nalt y\na->>a: x",
        "participant a as x\na->>a: x\nend",
        "participant a as x\nelse z\na->>a: x",
        "participant a as x\nparticipant a as y\na->>a: x",
    ],
)
def test_the_grammar_refuses_what_is_none(lines):
    with pytest.raises(ValueError, match=r"line \d|no end"):
        sequence_grammar.read(f"sequenceDiagram\n{lines}")


def test_text_of_a_request_stays_on_its_line(explain):
    out = explain("text", "http://catalog/\x1b[31m\nforged")
    assert "\x1b" not in out
    assert "\nforged" not in out


PLAIN = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services:
  payments:
    port: 80
    endpoints: [{address: 10.0.0.5}]
    mtls: {mode: permissive, until: "2099-01-01"}
    allow: [{from: [unauthenticated], paths: [{exact: /legacy}]}]
  sure: {port: 80, endpoints: [{address: 10.0.0.6}]}
  ledger: {port: 5432, protocol: tcp, endpoints: [{address: 10.0.0.7}], mtls: {mode: permissive, until: "2099-01-01"}}
"""


@pytest.mark.parametrize(
    ("url", "answer"),
    [
        ("http://payments/legacy", "answer: what `payments` answers"),
        ("http://payments.shop.mesh:80/legacy", "answer: what `payments` answers"),
        ("http://payments/other", "answer: 403: `payments` does not let a caller without a certificate in"),
        ("http://payments/a/../legacy", "answer: 400: the path is not canonical: a segment . or .."),
        ("http://sure/legacy", "answer: none: `sure` takes mutual TLS only"),
    ],
)
def test_somebody_without_a_certificate_asks_the_callees_sidecar(tmp_path, capsys, url, answer):
    spec = tmp_path / "mesh.yaml"
    spec.write_text(PLAIN)
    arguments = ["explain", "request", url, "--from", "unauthenticated", "--spec", str(spec)]
    assert run(arguments) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[2] == "a caller without a certificate"
    assert answer in out
    assert run([*arguments, "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    SCHEMA.validate(document)
    assert document["caller"] == "unauthenticated"
    assert run([*arguments, "--format", "mermaid"]) == 0
    sequence_grammar.read(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://paymens/", "did you mean `payments`?"),
        ("http://ledger/", "`ledger` is a stream, without requests"),
        ("https://payments/", "is not a URL of the form http://service/path"),
    ],
)
def test_what_nobody_can_ask_without_a_certificate(tmp_path, capsys, url, why):
    spec = tmp_path / "mesh.yaml"
    spec.write_text(PLAIN)
    assert run(["explain", "request", url, "--from", "unauthenticated", "--spec", str(spec)]) == 2
    assert why in capsys.readouterr().err


def test_the_path_of_somebody_without_a_certificate_goes_on(tmp_path, capsys):
    spec = tmp_path / "mesh.yaml"
    spec.write_text(PLAIN)
    arguments = [
        "explain",
        "request",
        "http://payments/legacy",
        "--from",
        "unauthenticated",
        "--spec",
        str(spec),
    ]
    assert run([*arguments, "--then", "http://sure/"]) == 0
    out = capsys.readouterr().out
    assert "`payments` gets at most 1 for 1 of a caller without a certificate" in out
    assert "call 2 is answered by a sidecar, 403" in out


def test_json_of_a_request_has_nothing_that_turns_a_line(explain):
    out = explain("json", "http://catalog/\u202egpj\u2028\x85é\x7f")
    assert all(each.isprintable() for each in out.split("\n"))
    assert "\u202egpj\u2028\x85é\x7f" in json.dumps(json.loads(out), ensure_ascii=False)
