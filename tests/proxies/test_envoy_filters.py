"""Matching, rewriting, header changes and answers of Envoy's own, with real requests."""

from __future__ import annotations

import itertools
import os

import pytest
from msgspec import structs

from meshctl import ir
from meshctl.targets.envoy.matching import lua_string
from tests.proxies import envoy_fixtures as fixtures
from tests.proxies.envoy_fixtures import App, Authority, Client, ask
from tests.sidecars import cluster, route, sidecar, virtual_host

NETWORK = f"127.60.{os.getpid() % 250 + 1}"
WEB, ONE, NOBODY, DEAD = (f"{NETWORK}.{number}" for number in range(1, 5))
pytestmark = pytest.mark.xdist_group("envoy-filters")

EXACT, PREFIX, REGEX = ir.PathMatchKind.EXACT, ir.PathMatchKind.PREFIX, ir.PathMatchKind.REGEX
HAS, FITS, IS = ir.ValueMatchKind.PRESENT, ir.ValueMatchKind.REGEX, ir.ValueMatchKind.EXACT
HOSTILE = "".join(map(chr, range(0x21, 0x7F)))
BODY = "a \"b\" 'c' %REQ(x)% 100% $host ${x} \\ \\n {{x}}\n\tzwölf ☃"
ORDER = itertools.count()


def when(path="/", kind=PREFIX, methods=(), headers=(), queries=()):
    return ir.RouteMatch(
        ir.PathMatch(kind, path),
        methods,
        tuple(ir.HeaderMatch(*each) for each in headers),
        tuple(ir.QueryMatch(*each) for each in queries),
    )


def told(name, match):
    """A route that says its name, so that one request tells which route took it."""
    return route(name, match=match, answer=ir.DirectResponse(200, name))


def to_one(name, path, **others):
    return route(name, ("catalog", 1), match=when(path), **others)


def redirect(prefix, /, status=302, **to):
    return route(f"redirect{next(ORDER)}", match=when(prefix), answer=ir.Redirect(status, **to))


CHANGED = ir.HeaderChanges(
    set=(("x-set", HOSTILE), ("x-forwarded-proto", "https"), ("user-agent", "mesh")),
    add=(("x-add", "%REQ(host)%"),),
    remove=("x-gone", "x-mesh-identity"),
)
ANSWERED = ir.HeaderChanges(
    set=(("x-set", HOSTILE), ("server", "mesh")), add=(("x-add", "100%"),), remove=("x-gone",)
)

MATCHING = virtual_host(
    "matching",
    told("regex", when("/items/[0-9]+", REGEX)),
    told("alternatives", when("/a|/b.", REGEX)),
    told("header-exact", when("/h", headers=[("x-a", HOSTILE)])),
    told("header-regex", when("/h", headers=[("x-a", "v[0-9].", FITS)])),
    told("header-class", when("/h", headers=[("x-a", "n[^0-9]{2}", FITS)])),
    told("header-two", when("/h", headers=[("x-a", "same", IS), ("x-b", ".*", FITS)])),
    told("header-present", when("/h", headers=[("x-here", "", HAS)])),
    told("query-exact", when("/q", queries=[("page", "%41+")])),
    told("query-empty", when("/q", queries=[("page", "")])),
    told("query-regex", when("/q", queries=[("page", "[0-9]+", FITS)])),
    told("query-present", when("/q", queries=[("pa[e", "", HAS)])),
    told("query-and", when("/q", methods=("POST",), queries=[("a", "1"), ("b", "2")])),
    told("no", when("/")),
)
CATALOG = virtual_host(
    "catalog",
    to_one("prefix", "/legacy", rewrite=ir.Rewrite(prefix="/v1")),
    to_one("slash", "/cut", rewrite=ir.Rewrite(prefix="/")),
    to_one("longer", "/deep/er", rewrite=ir.Rewrite(prefix="/a/b/")),
    to_one("hostile", "/x(y)", rewrite=ir.Rewrite(prefix="/$1!\\1(%20)")),
    to_one("full", "/full", rewrite=ir.Rewrite(path="/other/(%20)")),
    to_one("named", "/named", rewrite=ir.Rewrite(path="/n", hostname="catalog.internal")),
    to_one("headers", "/headers", request_headers=CHANGED, response_headers=ANSWERED),
    to_one("keep", "/keep", request_headers=ir.HeaderChanges(add=(("x-forwarded-proto", "b"),))),
    to_one("drop", "/drop", request_headers=ir.HeaderChanges(remove=("x-forwarded-proto",))),
    route("nobody", ("nobody", 1), match=when("/nobody"), response_headers=ANSWERED),
    route("dead", ("dead", 1), match=when("/dead"), response_headers=ANSWERED),
    redirect("/r/as-it-is"),
    redirect("/r/moved", status=308, path="/new"),
    redirect("/r/prefix", prefix="/v1"),
    redirect("/r/root", status=301, prefix="/"),
    redirect("/r/https", scheme="https"),
    redirect("/r/http", scheme="http"),
    redirect("/r/port", port=8443),
    redirect("/r/default-port", port=80),
    redirect("/r/host", status=303, hostname="shop.example"),
    redirect("/r/all", status=307, scheme="https", hostname="shop.example", port=444, path="/(%20)%41"),
    route(
        "redirect-headers",
        match=when("/r/headers"),
        answer=ir.Redirect(302, path="/new"),
        response_headers=ANSWERED,
    ),
    route("body", match=when("/d/body"), answer=ir.DirectResponse(418, BODY), response_headers=ANSWERED),
    *(
        route(f"status{status}", match=when(f"/d/{status}"), answer=ir.DirectResponse(status, ""))
        for status in (200, 201, 204, 302, 403, 404, 425, 470, 503, 599)
    ),
    route("all", ("catalog", 1)),
)
WILD = (
    structs.replace(virtual_host("wild", told("short", when())), hostnames=("*.example.com",)),
    structs.replace(
        virtual_host("wild", told("long", when())), hostnames=("*.deep.example.com", "*.x.shop.mesh")
    ),
    structs.replace(virtual_host("wild", told("exact", when())), hostnames=("a.example.com",)),
)
ANY = structs.replace(virtual_host("any", told("any", when())), hostnames=("*",))


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    clusters = (
        cluster("catalog", (ONE, 15006, 1)),
        cluster("nobody", (NOBODY, 15006, 1)),
        cluster("dead", (DEAD, 15006, 1)),
    )
    catch_all = sidecar("edge", ir.Proxy.ENVOY, address=NOBODY, inbound=False, virtual_hosts=(*WILD, ANY))
    parts = (
        fixtures.caller(WEB, MATCHING, CATALOG, *WILD, clusters=clusters),
        fixtures.callee("catalog", ONE, "web"),
        fixtures.callee("dead", DEAD, "web"),
        catch_all,
    )
    with fixtures.running(tmp_path_factory.mktemp("mesh"), Authority(), *parts) as started:
        yield started


@pytest.fixture(scope="module")
def app(mesh):
    with App(ONE) as running:
        yield running


@pytest.fixture(autouse=True)
def _forget(app):
    app.seen.clear()


@pytest.mark.parametrize(
    ("target", "taken"),
    [
        ("/items/7", "regex"),
        ("/items/42?x=/y", "regex"),
        ("/items/42/", "no"),
        ("/x/items/42", "no"),
        ("/items/4x", "no"),
        ("/items/", "no"),
        ("/a", "alternatives"),
        ("/bc", "alternatives"),
        ("/ab", "no"),
        ("/b", "no"),
        ("/q?page=%41+", "query-exact"),
        ("/q?x&page=%41+&page=7", "query-exact"),
        ("/q?page=A+", "no"),
        ("/q?Page=%41+", "no"),
        ("/q?page=7&page=%41+", "query-regex"),
        ("/q?page=%37", "no"),
        ("/q?page=x&page=7", "no"),
        ("/q?page", "query-empty"),
        ("/q?page=", "query-empty"),
        ("/q?page==", "no"),
        ("/q?page;page=7", "no"),
        ("/q?a;page=7", "no"),
        ("/q?pa[e", "query-present"),
        ("/q?pa[e=1", "query-present"),
        ("/q?page2=7&pa%5Be", "no"),
        ("/q?", "no"),
        ("/q", "no"),
    ],
)
def test_path_and_query(app, target, taken):
    assert ask(WEB, target=target, host="matching").body.decode() == taken


def test_conditions_are_all_needed(app):
    for method, target, taken in (
        ("POST", "/q?b=2&a=1", "query-and"),
        ("GET", "/q?b=2&a=1", "no"),
        ("POST", "/q?b=2&c=1", "no"),
    ):
        assert ask(WEB, method, target, host="matching", body=b"").body.decode() == taken


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ([("X-A", HOSTILE)], "header-exact"),
        ([("x-a", "other"), ("x-a", HOSTILE)], "header-exact"),
        ([("x-a", HOSTILE + "x")], "no"),
        ([("x-a", "v1x")], "header-regex"),
        ([("x-a", "v1\xff")], "header-regex"),
        ([("x-a", "v1\t")], "no"),
        ([("x-a", "x"), ("x-a", "v1,")], "header-regex"),
        ([("x-a", "x,v1y")], "no"),
        ([("x-a", "v1"), ("x-a", "y")], "no"),
        ([("x-a", "V1x")], "no"),
        ([("x-a", "n\xff\x80")], "header-class"),
        ([("x-a", "n\xc3\xa9")], "header-class"),
        ([("x-a", "n\xff\x80\x80")], "no"),
        ([("x-a", "same"), ("x-b", "")], "header-two"),
        ([("x-a", "same")], "no"),
        ([("x-here", "")], "header-present"),
        ([("x-here", "1"), ("x-here", "2")], "header-present"),
        ([], "no"),
    ],
)
def test_headers(app, headers, taken):
    assert ask(WEB, target="/h", host="matching", headers=headers).body.decode() == taken


@pytest.mark.parametrize(
    ("host", "taken"),
    [
        ("b.example.com", "short"),
        ("B.C.Example.Com.:80", "short"),
        ("a.example.com", "exact"),
        ("x.deep.example.com", "long"),
        ("deep.example.com", "short"),
        ("y.x.shop.mesh", "long"),
        ("example.com", 404),
        ("xexample.com", 404),
        ("x.shop.mesh", 403),
        ("[::1]:80", 404),
    ],
)
def test_wildcards(app, host, taken):
    answer = ask(WEB, host=host)
    assert (answer.body.decode() if answer.status == 200 else answer.status) == taken
    everywhere = ask(NOBODY, host=host)
    assert everywhere.body.decode() == (taken if isinstance(taken, str) else "any")


def seen(app):
    (only,) = app.seen
    return only["target"], dict(only["headers"])


@pytest.mark.parametrize(
    ("target", "rewritten"),
    [
        ("/legacy", "/v1"),
        ("/legacy/", "/v1/"),
        ("/legacy/x?q=/legacy", "/v1/x?q=/legacy"),
        ("/legacyx", "/legacyx"),
        ("/cut", "/"),
        ("/cut/", "/"),
        ("/cut/x/cut/y", "/x/cut/y"),
        ("/cut?a=b", "/?a=b"),
        ("/deep/er/x", "/a/b/x"),
        ("/deep/er", "/a/b"),
        ("/x(y)/z", "/$1!\\1(%20)/z"),
        ("/full?x=1", "/other/(%20)?x=1"),
        ("/full/x/y/full", "/other/(%20)"),
    ],
)
def test_path_rewrite(mesh, app, target, rewritten):
    # A path that is not canonical never gets past the callee's gate; this is the wire's side of it.
    canonical = "\\" not in rewritten
    assert ask(WEB, target=target).status == (200 if canonical else 400)
    if canonical:
        assert seen(app)[0] == rewritten


def test_host_rewrite(mesh, app):
    path = "/named/and/logged"
    assert ask(WEB, target=path, host="Catalog:80").status == 200
    target, headers = seen(app)
    assert (target, headers["host"]) == ("/n", "catalog.internal")
    assert set(headers) == {"host", "x-mesh-identity"}
    logged = mesh["web"].logged(path=path)
    assert (logged["host"], logged["route"]) == ("Catalog:80", "named")


def test_request_headers(app):
    sent = [
        ("x-set", "a"),
        ("x-set", "b"),
        ("x-add", "c"),
        ("x-add", "d"),
        ("x-gone", "e"),
        ("x-gone", "f"),
        ("x-mesh-identity", "spiffe://shop.example/admin"),
        ("x-forwarded-proto", "ftp"),
        ("x-mesh-forwarded-proto", "ftp"),
        ("x-kept", "g"),
    ]
    assert ask(WEB, target="/headers", headers=sent).status == 200
    assert sorted(app.seen[0]["headers"]) == [
        ("host", "catalog"),
        ("user-agent", "mesh"),
        ("x-add", "%REQ(host)%"),
        ("x-add", "c"),
        ("x-add", "d"),
        ("x-forwarded-proto", "https"),
        ("x-kept", "g"),
        ("x-mesh-identity", "spiffe://shop.example/web"),
        ("x-set", HOSTILE),
    ]


def test_forwarded_proto_can_be_added_to_and_removed(app):
    for path, lines in (("/keep", ["a,b"]), ("/drop", [])):
        app.seen.clear()
        assert ask(WEB, target=path, headers=[("x-forwarded-proto", "a")]).status == 200
        assert [v for name, v in app.seen[0]["headers"] if name == "x-forwarded-proto"] == lines
    assert ask(WEB, target="/keep").status == 200
    assert dict(app.seen[1]["headers"])["x-forwarded-proto"] == "b"


OWN_HEADERS = [("server", "mesh"), ("x-add", "100%"), ("x-set", HOSTILE)]


def told_headers(answer):
    ignored = {"date", "content-length", "transfer-encoding", "content-type", "location"}
    return sorted(pair for pair in answer.headers if pair[0] not in ignored)


def test_response_headers_of_the_callee(app):
    given = "x-set%3Da%26x-set%3Db%26x-add%3Dc%26x-gone%3Dd%26x-gone%3De%26server%3Df%26x-kept%3Dg"
    answer = ask(WEB, target=f"/headers?status=503&headers={given}")
    assert (answer.status, told_headers(answer)) == (
        503,
        sorted([*OWN_HEADERS, ("x-add", "c"), ("x-kept", "g")]),
    )
    answer = ask(WEB, target=f"/headers?status=425&headers={given}")
    assert (answer.status, told_headers(answer)) == (
        425,
        sorted([*OWN_HEADERS, ("x-add", "c"), ("x-kept", "g")]),
    )


def test_answers_of_a_sidecar_keep_their_headers(mesh, app):
    assert told_headers(ask(WEB, target="/headers//x")) == []
    for target in ("/nobody", "/dead"):
        answer = ask(WEB, target=target)
        assert (answer.status, told_headers(answer)) == (503, [])


@pytest.mark.parametrize(
    ("target", "host", "status", "location"),
    [
        ("/r/as-it-is", "catalog", 302, "http://catalog/r/as-it-is"),
        ("/r/as-it-is/%20?x=%41&y", "CATALOG.:8080", 302, "http://catalog:8080/r/as-it-is/%20?x=%41&y"),
        ("/r/as-it-is", "catalog:80", 302, "http://catalog/r/as-it-is"),
        ("/r/as-it-is", "catalog:080", 302, "http://catalog/r/as-it-is"),
        ("/r/as-it-is", "catalog:", 302, "http://catalog/r/as-it-is"),
        ("/r/as-it-is", "catalog.shop.mesh.:443", 302, "http://catalog.shop.mesh:443/r/as-it-is"),
        ("/r/moved/x?a=1", "catalog", 308, "http://catalog/new?a=1"),
        ("/r/prefix/x/y?a=1", "catalog", 302, "http://catalog/v1/x/y?a=1"),
        ("/r/prefix", "catalog", 302, "http://catalog/v1"),
        ("/r/root", "catalog", 301, "http://catalog/"),
        ("/r/root/x", "catalog", 301, "http://catalog/x"),
        ("/r/https", "catalog:8080", 302, "https://catalog/r/https"),
        ("/r/http", "catalog:8080", 302, "http://catalog/r/http"),
        ("/r/port", "catalog:1", 302, "http://catalog:8443/r/port"),
        ("/r/default-port", "catalog:1", 302, "http://catalog/r/default-port"),
        ("/r/host", "catalog:8080", 303, "http://shop.example:8080/r/host"),
        ("/r/all/x?q", "catalog", 307, "https://shop.example:444/(%20)%41?q"),
    ],
)
def test_redirect(app, target, host, status, location):
    for method in ("GET", "HEAD", "POST"):
        answer = ask(WEB, method, target, host=host)
        assert (answer.status, answer.values("location"), answer.body) == (status, [location], b"")
        assert told_headers(answer) == []
    assert app.seen == []


def test_headers_of_a_redirect(app):
    answer = ask(WEB, target="/r/headers")
    assert (answer.values("location"), told_headers(answer)) == (["http://catalog/new"], OWN_HEADERS)


def test_a_callee_is_not_taken_for_a_redirect(app):
    answer = ask(WEB, target="/?status=302&headers=location%3Dx%20y%26x-mesh-status%3Dredirect")
    assert (answer.status, answer.values("location")) == (302, ["x y"])
    assert not answer.values("x-mesh-status")


def test_direct_response(app):
    with Client(WEB) as client:
        answer = client.ask(target="/d/body")
        assert (answer.status, answer.body.decode()) == (418, BODY)
        assert answer.values("content-type") == ["text/plain"]
        assert told_headers(answer) == OWN_HEADERS
        answer = client.ask("HEAD", "/d/body")
        assert (answer.status, answer.body) == (418, b"")
        for status in (200, 201, 204, 302, 403, 404, 425, 470, 503, 599):
            answer = client.ask(target=f"/d/{status}")
            assert (answer.status, answer.body) == (status, b"")
            names = {name for name, _ in answer.headers}
            assert names <= {"date", "content-length"}, status
    assert app.seen == []


def test_lua_strings_hold_anything():
    assert lua_string('"]]\n\\0é') == '"\\034\\093\\093\\010\\0920\\195\\169"'
