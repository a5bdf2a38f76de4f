"""Matching, filters and answers of NGINX's own, with real requests. Most routes answer with their own names."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack, closing
from http.client import HTTPConnection

import pytest
from msgspec import structs

from meshctl import ir
from meshctl.ir import PathMatchKind, ValueMatchKind
from tests.proxies.nginx_fixtures import App, new_authority, raw, request, running
from tests.sidecars import cluster, route, sidecar, virtual_host
from tests.turns import turn

pytestmark = pytest.mark.xdist_group("nginx-routes")

WEB, SITE, NOBODY = "127.62.1.1", "127.62.1.2", "127.62.1.9"
EXACT, REGEX, PRESENT = ValueMatchKind.EXACT, ValueMatchKind.REGEX, ValueMatchKind.PRESENT
LONG = "/" + "a" * 300

HOSTILE = (
    'a "$http_host" ${dollar} \\',
    '\'; } return 200 "x"; #',
    "{{ nginx }} {% raw %}",
    "default",
    "~.*",
    "\\\\n\\t\\r\\x41",
    "]] } --[[ os.exit() ]]",
    "(a+)+$|b*[c]{2}^?",
    "%s%d%% $1 $request_uri",
    "`id`, b;c=d",
)


def names(text: str) -> ir.DirectResponse:
    return ir.DirectResponse(200, text)


def match(path: str = "/", kind: PathMatchKind = PathMatchKind.PREFIX, *methods: str, headers=(), queries=()):
    return ir.RouteMatch(
        ir.PathMatch(kind, path),
        methods,
        tuple(ir.HeaderMatch(*each) for each in headers),
        tuple(ir.QueryMatch(*each) for each in queries),
    )


def answers(name: str, matched: ir.RouteMatch) -> ir.Route:
    return route(name, match=matched, answer=names(name))


def host(name: str, *routes: ir.Route, hostnames: tuple[str, ...] = ()) -> ir.VirtualHost:
    return structs.replace(virtual_host(name, *routes), hostnames=hostnames or (name,))


def outside(name: str, *endpoints: tuple[str, int, int]) -> ir.Cluster:
    return structs.replace(cluster(name, *endpoints), identity=None, origin=ir.Origin(None))


def to_site(name: str, matched: ir.RouteMatch, **changes) -> ir.Route:
    return route(name, ("site", 1), match=matched, **changes)


def prefixed(name: str, prefix_of: str, **redirect) -> ir.Route:
    return route(name, match=match(prefix_of), answer=ir.Redirect(301, **redirect))


CHANGES = ir.HeaderChanges(
    set=(("x-set", HOSTILE[0].strip()), ("x-mesh-identity", "spiffe://evil/x")),
    add=(("x-add", "b"),),
    remove=("x-gone", "x-mesh-status"),
)
ANSWER_CHANGES = ir.HeaderChanges(
    set=(("x-set", "1"), ("server", "mine")), add=(("x-add", "b"),), remove=("x-gone",)
)

HOSTS = (
    host(
        "paths",
        answers("exact", match("/a.b", PathMatchKind.EXACT)),
        answers("items", match("/items/[0-9]+", PathMatchKind.REGEX)),
        answers("either", match("/x|/y/.*z", PathMatchKind.REGEX)),
        answers("any", match("/dot/a.b", PathMatchKind.REGEX)),
        answers("negated", match('/neg/[^"a]+\\\\?\\$\\D', PathMatchKind.REGEX)),
        answers("prefix", match("/items")),
    ),
    host(
        "conditions",
        answers("regex", match(headers=[("x-r", "v[0-9]+.*", REGEX)])),
        answers("present", match(headers=[("x-p", "", PRESENT)])),
        answers("both", match(headers=[("x-a", "1", EXACT), ("x-b", "a|b", REGEX)], queries=[("q", "1")])),
        answers("query", match(queries=[("page", "1"), ("sort", "", PRESENT)])),
        answers("query-regex", match(queries=[("id", "[0-9]+", REGEX)])),
        answers("query-present", match(queries=[("here", "", PRESENT)])),
        answers("query-empty", match(queries=[("empty", "")])),
        answers("posts", match("/", PathMatchKind.PREFIX, "POST", queries=[("m", "1")])),
    ),
    *(
        host(
            f"literal{number}",
            answers("path", match("/" + "".join(text.split()).replace("?", ""), PathMatchKind.EXACT)),
            answers("header", match(headers=[("x-l", text)])),
            answers("query", match(queries=[("q", re.sub(r"[ &#]", "", text))])),
            route("body", match=match("/body"), answer=names(text)),
            route(
                "changed",
                match=match("/changed"),
                answer=names(""),
                response_headers=ir.HeaderChanges(set=(("x-l", text),)),
            ),
        )
        for number, text in enumerate(HOSTILE)
    ),
    host("exact", answers("exact", match()), hostnames=("one.wild.example",)),
    host("wild", answers("wild", match()), hostnames=("*.wild.example",)),
    host("deep", answers("deep", match()), hostnames=("*.deep.wild.example",)),
    host(
        "filters",
        to_site("same", match("/same"), request_headers=CHANGES, response_headers=ANSWER_CHANGES),
        to_site("prefix", match("/legacy"), rewrite=ir.Rewrite(prefix="/v1", hostname="site.internal")),
        to_site("root", match("/root"), rewrite=ir.Rewrite(prefix="/")),
        to_site("full", match("/full"), rewrite=ir.Rewrite(path="/$1${dollar}%20x")),
        route("none", match=match("/none"), response_headers=ANSWER_CHANGES),
        route("dead", ("dead", 1), match=match("/dead"), response_headers=ANSWER_CHANGES),
        prefixed("to", "/to", path="/new"),
        prefixed("moved", "/moved", prefix="/new", scheme="https", hostname="www.example"),
        prefixed("port", "/port", port=8443),
        prefixed("usual", "/usual", scheme="http", port=80),
        prefixed("away", "/away", prefix="/"),
        route(
            "teapot", match=match("/teapot"), answer=ir.DirectResponse(418, "short\n\tand ü $host 100% \\n\n")
        ),
        route("empty", match=match("/empty"), answer=ir.DirectResponse(204)),
        route("long", match=match("/long"), answer=ir.DirectResponse(299, "ü" * 1000)),
        to_site("all", match("/all"), rewrite=ir.Rewrite(prefix="/every")),
        to_site("rest", match(), rewrite=ir.Rewrite(prefix="/below")),
    ),
    host(
        "many",
        *(answers(f"r{n}", match(f"/api/v{n % 3}/s{n}")) for n in range(1999)),
        answers("rest", match()),
    ),
    host(
        "mixed",
        *(answers(f"h{n}", match(f"/p{n}", headers=[(f"x-{n}", str(n))])) for n in range(120)),
        answers("regex", match("/p1/[a-z]+|/q", PathMatchKind.REGEX)),
        answers("bounded", match("/P7/[a-z]+", PathMatchKind.REGEX)),
        answers("first", match("/p7")),
        answers("rest", match()),
    ),
)


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    made = sidecar(
        "web",
        ir.Proxy.NGINX,
        address=WEB,
        virtual_hosts=HOSTS,
        clusters=(outside("site", (SITE, 8080, 1)), outside("dead", (NOBODY, 8080, 1))),
    )
    with turn("127.62.1"), ExitStack() as stack:
        web = stack.enter_context(running(made, tmp_path_factory.mktemp("routes") / "web", new_authority()))
        yield web
        assert web.errors() == ""


@pytest.fixture(scope="module")
def site():
    app = App(SITE)
    yield app
    app.stop()


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/a.b", "exact"),
        ("/a.b?c", "exact"),
        ("/a.b/", None),
        ("/aXb", None),
        ("/items/12", "items"),
        ("/items/12?x=/y", "items"),
        ("/items/12/", "prefix"),
        ("/items/a", "prefix"),
        ("/items?/12", "prefix"),
        ("/itemsx/1", None),
        ("/x", "either"),
        ("/xz", None),
        ("/x?/y/z", "either"),
        ("/y/?z", None),
        ("/y//z", None),
        ("/y/1/z", "either"),
        ("/dot/aXb", "any"),
        ("/dot/a?b", None),
        ("/dot/a/b", "any"),
        ("/neg/b$x", "negated"),
        ("/neg/b$1", None),
        ("/neg/b?$x", None),
        ("/neg/b %24x", None),
    ],
)
def test_paths(web, target, name):
    answer = raw(WEB, f"GET {target} HTTP/1.1\r\nHost: paths\r\nConnection: close\r\n\r\n".encode())
    status = answer.split(b" ", 2)[1]
    assert status == (b"200" if name else b"400" if "//" in target or " " in target else b"404")
    assert not name or answer.endswith(b"\r\n\r\n" + name.encode())


@pytest.mark.parametrize(
    ("target", "headers", "name"),
    [
        ("/", [("X-R", "v12 and more")], "regex"),
        ("/", [("X-R", "no"), ("x-r", "v1")], "regex"),
        ("/", [("X-R", "av1")], None),
        ("/", [("X-R", "v")], None),
        ("/", [("X-R", "v1\xff".encode("latin-1"))], "regex"),
        ("/", [("X-P", "")], "present"),
        ("/", [("X-P", "x"), ("x-p", "")], "present"),
        ("/", [("X_P", "x")], None),
        ("/?q=1", [("x-a", "1"), ("x-b", "b")], "both"),
        ("/?q=1", [("x-a", "1"), ("x-b", "c"), ("x-b", "a")], "both"),
        ("/?q=1", [("x-a", "1"), ("x-b", "ab")], None),
        ("/?q=1", [("x-b", "a")], None),
        ("/?q=2", [("x-a", "1"), ("x-b", "b")], None),
        ("/?page=1&sort", [], "query"),
        ("/?sort=&x&page=1", [], "query"),
        ("/?page=1", [], None),
        ("/?page=2&page=1&sort", [], None),
        ("/?Page=1&sort", [], None),
        ("/?page=%31&sort", [], None),
        ("/?page=1;sort", [], None),
        ("/?id=42", [], "query-regex"),
        ("/?id=42=", [], None),
        ("/?id=&id=42", [], None),
        ("/?x=?here", [], None),
        ("/?&here", [], "query-present"),
        ("/?here=x=y", [], "query-present"),
        ("/here", [], None),
        ("/?empty", [], "query-empty"),
        ("/?empty=", [], "query-empty"),
        ("/?empty=1", [], None),
        ("/?m=1", [], None),
    ],
)
def test_conditions(web, target, headers, name):
    answer = request(WEB, target, host="conditions", headers=headers)
    assert (answer.status, answer.body) == ((200, name.encode()) if name else (404, answer.body))


def test_values_that_are_slow_to_read_do_not_hold_the_worker_up(web):
    """Blanks within a value: fifteen seconds when each of them is tried as the end of it."""
    began = time.monotonic()
    value = f"\tv1{' ' * 50_000}z\t"
    answer = request(WEB, "/", host="conditions", headers=[("x-r", value), ("x-p", "")])
    assert (answer.status, answer.body) == (200, b"regex")
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_literals_reach_the_wire_as_they_are(web, number):
    """A path, a header's value, a query's, a body, and a header of an answer."""
    text, named = HOSTILE[number], f"literal{number}"
    path = "/" + "".join(text.split()).replace("?", "")
    query = re.sub(r"[ &#]", "", text)
    assert request(WEB, "/", host=named, headers=[("x-l", text)]).body == b"header"
    assert request(WEB, "/", host=named, headers=[("x-l", text + "x")]).status == 404
    assert request(WEB, f"/?q={query}", host=named).body == b"query"
    assert request(WEB, f"/?q={query}x", host=named).status == 404
    if not re.search(r"[\\#%]", path):
        assert request(WEB, path, host=named).body == b"path"
        assert request(WEB, path + "x", host=named).status == 404
    assert request(WEB, "/body", host=named).body == text.encode()
    assert request(WEB, "/changed", host=named).header("x-l") == [text]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("one.wild.example", b"exact"),
        ("ONE.wild.example.:80", b"exact"),
        ("two.wild.example", b"wild"),
        ("a.b.wild.example", b"wild"),
        ("a.deep.wild.example", b"deep"),
        ("deep.wild.example", b"wild"),
        ("wild.example", None),
        ("xwild.example", None),
    ],
)
def test_hostnames(web, name, body):
    answer = request(WEB, host=name)
    assert (answer.status, answer.body) == ((200, body) if body else (404, answer.body))


@pytest.mark.parametrize(
    ("target", "seen"),
    [
        ("/legacy", "/v1"),
        ("/legacy/", "/v1/"),
        ("/legacy/x%20y?q=%2F", "/v1/x%20y?q=%2F"),
        ("/legacy?q", "/v1?q"),
        ("/root", "/"),
        ("/root/", "/"),
        ("/root/x", "/x"),
        ("/full/x?a=$b", "/$1${dollar}%20x?a=$b"),
        ("/all/x", "/every/x"),
        ("/", "/below/"),
        ("/x", "/below/x"),
    ],
)
def test_rewrites(web, site, target, seen):
    answer = request(WEB, target, host="filters")
    assert answer.status == 200
    assert site.seen[-1].target == seen
    assert site.seen[-1].header("host") == ["site.internal" if "legacy" in target else "filters"]
    line = web.last_log()[0]
    assert (line["host"], line["path"]) == ("filters", target.partition("?")[0])


def test_header_changes(web, site):
    sent = [("x-set", "1"), ("X-Set", "2"), ("x-add", "a"), ("x-gone", "1"), ("X-GONE", "2"), ("x-kept", "k")]
    gone = {"x-gone": "1", "x-set": "0", "x-add": "a", "server": "theirs", "x-kept": "k"}
    site.answer = lambda handler: handler.reply(503, b"theirs", gone)
    answer = request(WEB, "/same", host="filters", headers=sent)
    seen = site.seen[-1]
    assert seen.header("x-set") == [CHANGES.set[0][1]]
    assert (seen.header("x-add"), seen.header("x-gone"), seen.header("x-kept")) == (["a", "b"], [], ["k"])
    assert (answer.status, answer.header("x-set"), answer.header("x-add")) == (503, ["1"], ["a", "b"])
    assert (answer.header("x-gone"), answer.header("server"), answer.header("x-kept")) == (
        [],
        ["mine"],
        ["k"],
    )
    site.answer = lambda handler: handler.reply(200, b"hello")


@pytest.mark.parametrize(("target", "status"), [("/none", 503), ("/dead", 503), ("/same/../x", 400)])
def test_answers_of_the_sidecars_own_keep_their_headers(web, target, status):
    answer = request(WEB, target, host="filters")
    assert answer.status == status
    assert answer.header("x-set") == answer.header("x-add") == []


@pytest.mark.parametrize(
    ("target", "name", "location"),
    [
        ("/to/x?q=1", "filters", "http://filters/new?q=1"),
        ("/to", "FILTERS.:8080", "http://filters:8080/new"),
        ("/to", "filters:80", "http://filters/new"),
        ("/to", "filters:443", "http://filters:443/new"),
        ("/moved/a%20b?x=$y", "filters:8080", "https://www.example/new/a%20b?x=$y"),
        ("/moved", "filters", "https://www.example/new"),
        ("/port/", "filters:99", "http://filters:8443/port/"),
        ("/usual?", "filters:99", "http://filters/usual?"),
        ("/away", "filters", "http://filters/"),
        ("/away/", "filters", "http://filters/"),
        ("/away/x", "filters", "http://filters/x"),
        ("http://filters:81/to", "filters:81", "http://filters:81/new"),
    ],
)
def test_redirects(web, target, name, location):
    answer = request(WEB, target, host=name, method="POST", body=b"x" * 5000)
    assert (answer.status, answer.body, answer.header("location")) == (301, b"", [location])
    assert answer.header("content-type") == answer.header("server") == []


@pytest.mark.parametrize(
    ("target", "status", "body"),
    [
        ("/teapot", 418, "short\n\tand ü $host 100% \\n\n"),
        ("/empty", 204, ""),
        ("/long", 299, "ü" * 1000),
    ],
)
def test_direct_responses(web, target, status, body):
    with closing(HTTPConnection(WEB, 15001, timeout=5)) as connection:
        for method in ("GET", "HEAD", "POST"):
            sent = b"x" * 300_000 if method == "POST" else None
            answer = request(WEB, target, host="filters", method=method, body=sent, connection=connection)
            assert answer.status == status
            assert answer.body == (b"" if method == "HEAD" else body.encode())
            assert answer.header("content-type") == (["text/plain"] if body else [])
    assert [line["route"] for line in web.last_log(3)] == [target[1:]] * 3


@pytest.mark.parametrize(
    ("name", "target", "headers", "found"),
    [
        ("many", "/api/v0/s0", [], "r0"),
        ("many", "/api/v1/s1996/x", [], "r1996"),
        ("many", "/api/v2/s1997", [], "r1997"),
        ("many", "/api/v2/s1996", [], "rest"),
        ("many", "/API/v2/s1997", [], "rest"),
        ("many", "/api/v2/s199", [], "rest"),
        ("many", "/", [], "rest"),
        ("mixed", "/p100/x", [("x-100", "100")], "h100"),
        ("mixed", "/p100/x", [("x-100", "10")], "rest"),
        ("mixed", "/p1/x", [("x-2", "2")], "regex"),
        ("mixed", "/p1/x", [("x-1", "1")], "h1"),
        ("mixed", "/q", [], "regex"),
        ("mixed", "/p7/x", [], "first"),
        ("mixed", "/P7/x", [], "bounded"),
        ("mixed", "/P7", [], "rest"),
    ],
)
def test_many_routes(web, name, target, headers, found):
    assert request(WEB, target, host=name, headers=headers).body == found.encode()


def test_the_last_of_many_routes_costs_about_what_the_first_does(web):
    def seconds(target: str) -> float:
        with closing(HTTPConnection(WEB, 15001, timeout=5)) as connection:
            started = time.perf_counter()
            for _ in range(300):
                request(WEB, target, host="many", connection=connection)
            return time.perf_counter() - started

    pairs = [(seconds("/api/v0/s0"), seconds("/api/v1/s1996")) for _ in range(4)]
    first, last = map(min, zip(*pairs, strict=True))
    assert last < first * 1.6 + 0.03
