"""HAProxy: which route takes a request, and what the route makes of it. Real requests, one table each."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import os
import random
import time
from datetime import timedelta

import pytest
from msgspec import structs

from meshctl import ir
from meshctl.simulate import routing as simulate
from meshctl.simulate.message import Request
from tests import sidecars
from tests.proxies.haproxy_fixtures import App, Authority, request, running
from tests.sidecars import NO_RETRIES, WRITTEN, cluster, route

pytestmark = pytest.mark.xdist_group("haproxy-routes")

NETWORK = f"127.61.{os.getpid() % 250 + 1}"
WEB, CATALOG, NOBODY = (f"{NETWORK}.{number}" for number in range(1, 4))
HEADER, QUERY, PATH = ir.HeaderMatch, ir.QueryMatch, ir.PathMatch
REGEX, PRESENT = ir.ValueMatchKind.REGEX, ir.ValueMatchKind.PRESENT
HOSTILE = "it's \"%[env(HOME)]%%\\1$HOME ${HOME}\\x41},{#;&|) -f --"
BODY = 'say "%[env(HOME)]" and $HOME\n\tit\'s \\n, \\x41, é€ # --\n' + "é" * 500


def matching(kind, path, headers=(), queries=(), methods=()):
    return ir.RouteMatch(PATH(ir.PathMatchKind(kind), path), methods, tuple(headers), tuple(queries))


def takes(name, path, headers=(), queries=(), kind="prefix", **more):
    """A route that is known by its name in the access log."""
    to = () if "answer" in more else (("catalog", 1),)
    made = route(name, *to, match=matching(kind, path, headers, queries), retries=NO_RETRIES)
    return structs.replace(made, **more)


def rewrite(**how):
    return {"rewrite": ir.Rewrite(**how)}


def redirect(status=302, **how):
    return {"answer": ir.Redirect(status, **how)}


def says(status, body=""):
    return {"answer": ir.DirectResponse(status, body)}


def within(seconds):
    return {"timeout": ir.Timeout(timedelta(seconds=seconds), WRITTEN)}


CHANGES = ir.HeaderChanges(set=(("x-set", HOSTILE),), add=(("x-add", "2"),), remove=("x-gone",))
STATUS = ir.HeaderChanges(set=(("x-by", "route"),), remove=("x-app",))
ROUTES = (
    takes("regex", "/items/[0-9]+", kind="regex"),
    takes("regex-or", "/a|/b/.*", kind="regex"),
    takes("h-regex", "/h", [HEADER("x-a", "a[0-9]*|", REGEX)]),
    takes("h-present", "/h", [HEADER("x-p", "", PRESENT)]),
    takes("h-odd", "/h", [HEADER("x'`|~%#", HOSTILE)]),
    takes("q-two", "/q", queries=[QUERY("page", "1"), QUERY("size", "big")]),
    takes("q-exact", "/q", queries=[QUERY("page", "1")]),
    takes("q-empty", "/q", queries=[QUERY("page", "")]),
    takes("q-regex", "/q", queries=[QUERY("page", "x.*y|[0-9]{3}", REGEX)]),
    takes("q-present", "/q", queries=[QUERY("all", "", PRESENT)]),
    takes("q-odd", "/q", queries=[QUERY("it's\"%[x]\\(.", "a=\"b'%\\$c")]),
    takes("legacy", "/legacy", **rewrite(prefix="/v1")),
    takes("slashed", "/slashed", **rewrite(prefix="/v1/")),
    takes("stripped", "/stripped", **rewrite(prefix="/")),
    takes("full", "/full", **rewrite(path="/brand/new'%2A$HOME{,}", hostname="catalog.internal")),
    takes("odd", "/odd'$(%2A[.", **rewrite(prefix="/fine%2A$(x")),
    takes("moved", "/moved", **redirect(301, path="/new")),
    takes("to-prefix", "/old", **redirect(prefix="/", hostname="other.example", port=8080)),
    takes("secure", "/secure", **redirect(308, scheme="https")),
    takes("same-port", "/same", **redirect(307, port=80)),
    takes("stays", "/stays", **redirect(303)),
    takes("headed", "/headed", **redirect(), response_headers=STATUS),
    takes("teapot", "/teapot", **says(418, "short and stout")),
    takes("hostile", "/hostile", **says(200, BODY), response_headers=CHANGES),
    takes("none", "/none", **says(204)),
    takes("changed", "/changed", request_headers=CHANGES, response_headers=STATUS),
    takes("identity", "/identity", request_headers=ir.HeaderChanges(set=(("x-mesh-identity", "me"),))),
    takes("marked", "/marked", response_headers=STATUS, **within(0.4)),
    structs.replace(
        takes("dead", "/dead", response_headers=STATUS), backends=(ir.WeightedCluster("nobody", 1),)
    ),
    takes("last", "/last"),
)
WILD = (
    ir.VirtualHost("wide", ("*.example.com",), (takes("wide", "/"),)),
    ir.VirtualHost("exact", ("a.deep.example.com", "a.example.com"), (takes("exact", "/"),)),
    ir.VirtualHost("deep", ("*.deep.example.com",), (takes("deep", "/"),)),
)
ALL = ir.VirtualHost("all", ("*",), (takes("all", "/"),))


def many(count, seed):
    """Routes in no good order over few paths, so that they shadow and overlap each other in every way."""
    choose = random.Random(seed)
    for number in range(count):
        path = "".join(f"/{choose.choice('abcd')}" for _ in range(choose.randrange(1, 4)))
        kind = choose.choice(("exact", "prefix", "prefix", "exact"))
        headers = [HEADER("x-a", choose.choice("12"))] if choose.random() < 0.3 else ()
        path = path if kind == "exact" or choose.random() < 0.99 else "/"
        yield takes(f"n{number}", path, headers, kind=kind)


MANY = ir.VirtualHost("many", ("many",), tuple(many(400, 7)))
CLUSTERS = (cluster("catalog", (CATALOG, 15006, 1)), cluster("nobody", (NOBODY, 15006, 1)))


@dataclasses.dataclass
class World:
    web: object
    app: App


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    folder, authority = tmp_path_factory.mktemp("routes"), Authority()
    web = sidecars.sidecar(
        "web",
        ir.Proxy.HAPROXY,
        address=WEB,
        virtual_hosts=(ir.VirtualHost("catalog", ("catalog",), ROUTES), MANY, *WILD),
        clusters=CLUSTERS,
    )
    local = structs.replace(
        web.outbound, binds=(ir.SocketAddress(WEB, 15002),), domain="", virtual_hosts=(ALL,)
    )
    web = structs.replace(web, locals=(local,))
    catalog = sidecars.sidecar("catalog", ir.Proxy.HAPROXY, address=CATALOG, callers=("web",))
    with running(web, authority, folder / "web") as runs, running(catalog, authority, folder / "catalog"):
        app = App(CATALOG)
        yield World(runs, app)
        app.stop()


@pytest.fixture
def world(mesh):
    mesh.app.answer = lambda handler: handler.reply(200, headers={"x-app": "1", "x-other": "2"})
    mesh.app.seen.clear()
    return mesh


def taken(world, target, headers=(), host="catalog", port=15001):
    lines = len(world.web.log())
    status = request(WEB, target, headers=list(headers), host=host, port=port).status
    (line,) = world.web.last_log(lines + 1)[lines:]
    assert line["status"] == status
    return line["route"] if status != 404 else 404


@pytest.mark.parametrize(
    ("target", "headers", "expected"),
    [
        ("/items/42", (), "regex"),
        ("/items/42?x=1", (), "regex"),
        ("/items/42/", (), 404),
        ("/items/4x", (), 404),
        ("/x/items/42", (), 404),
        ("/a", (), "regex-or"),
        ("/ab", (), 404),
        ("/b/anything/else", (), "regex-or"),
        ("/h", [("X-A", "a12")], "h-regex"),
        ("/h", [("x-a", "b"), ("X-A", "a1")], "h-regex"),
        ("/h", [("x-a", "")], "h-regex"),
        ("/h", [("x-a", "xa1")], 404),
        ("/h", [("x-a", "a1, b")], 404),
        ("/h", [("X-P", "any")], "h-present"),
        ("/h", [("x-p", "")], "h-present"),
        ("/h", [("x-pp", "1")], 404),
        ("/h", [("x'`|~%#", HOSTILE)], "h-odd"),
        ("/q?page=1&size=big", (), "q-two"),
        ("/q?size=big&page=1", (), "q-two"),
        ("/q?page=1&size=bigger", (), "q-exact"),
        ("/q?x&page=1", (), "q-exact"),
        ("/q?page=1&page=2", (), "q-exact"),
        ("/q?page=2&page=1", (), 404),
        ("/q?Page=1", (), 404),
        ("/q?xpage=1", (), 404),
        ("/q?page=1;x", (), 404),
        ("/q?x;page=1", (), 404),
        ("/q?page=%31", (), 404),
        ("/q?page=", (), "q-empty"),
        ("/q?page", (), "q-empty"),
        ("/q?a=page", (), 404),
        ("/q?page=x=y", (), "q-regex"),
        ("/q?page=123", (), "q-regex"),
        ("/q?page=x&z=y", (), 404),
        ("/q?page=1234", (), 404),
        ("/q?all", (), "q-present"),
        ("/q?b&all=x&all", (), "q-present"),
        ("/q?call=1", (), 404),
        ("/q", (), 404),
        ("/q?", (), 404),
        ("/q?it's\"%[x]\\(.=a=\"b'%\\$c", (), "q-odd"),
    ],
)
def test_matching(world, target, headers, expected):
    assert taken(world, target, headers) == expected


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("a.example.com", 15001, "exact"),
        ("A.Example.COM.:80", 15001, "exact"),
        ("b.example.com", 15001, "wide"),
        ("b.c.example.com", 15001, "wide"),
        ("a.deep.example.com", 15001, "exact"),
        ("b.a.deep.example.com", 15001, "deep"),
        ("deep.example.com", 15001, "wide"),
        ("example.com", 15001, 404),
        (".example.com", 15001, 404),
        ("xexample.com", 15001, 404),
        ("whatever", 15002, "all"),
        ("nobody.shop.mesh", 15002, "all"),
        ("catalog", 15002, "all"),
    ],
)
def test_hosts(world, host, port, expected):
    assert taken(world, "/", host=host, port=port) == expected


def test_many_routes_are_tried_in_their_order(world):
    choose = random.Random(1)
    asked = []
    for _ in range(200):
        path = "".join(f"/{choose.choice('abcde')}" for _ in range(choose.randrange(1, 5)))
        path += choose.choice(("", "", "/"))
        asked.append((path, [("x-a", choose.choice("123"))] * choose.randrange(2)))
    lines = len(world.web.log())
    with contextlib.closing(http.client.HTTPConnection(WEB, 15001, timeout=10)) as kept:
        for path, headers in asked:
            request(WEB, path, headers=headers, host="many", connection=kept)
    log = world.web.last_log(lines + len(asked))[lines:]
    wanted = [
        simulate.route(MANY, Request("GET", path, (("host", "many"), *headers))) for path, headers in asked
    ]
    assert [line["route"] for line in log] == [found.name if found else "" for found in wanted]


@pytest.mark.parametrize(
    ("target", "seen"),
    [
        # The first rows are those of Gateway API's HTTPPathModifier.
        ("/legacy/bar", "/v1/bar"),
        ("/slashed/bar", "/v1/bar"),
        ("/legacy", "/v1"),
        ("/legacy/", "/v1/"),
        ("/slashed", "/v1"),
        ("/stripped/bar", "/bar"),
        ("/stripped/", "/"),
        ("/stripped", "/"),
        ("/legacy?a/b", "/v1?a/b"),
        ("/legacy/x%2A?/legacy", "/v1/x%2A?/legacy"),
        ("/stripped?x", "/?x"),
        ("/full/of/it?q=/", "/brand/new'%2A$HOME{,}?q=/"),
        ("/full", "/brand/new'%2A$HOME{,}"),
        ("/odd'$(%2A[./y?z", "/fine%2A$(x/y?z"),
    ],
)
def test_rewrites(world, target, seen):
    assert request(WEB, target).status == 200
    (one,) = world.app.seen
    assert one.target == seen
    assert dict(one.headers)["host"] == ("catalog.internal" if target.startswith("/full") else "catalog")


@pytest.mark.parametrize(
    ("target", "host", "status", "location"),
    [
        ("/moved?x=y", "Catalog:15001", 301, "http://catalog:15001/new?x=y"),
        ("/moved", "catalog.", 301, "http://catalog/new"),
        ("/moved", "catalog:80", 301, "http://catalog/new"),
        ("/moved", "catalog:443", 301, "http://catalog:443/new"),
        ("/old", "catalog", 302, "http://other.example:8080/"),
        ("/old/x?", "catalog:99", 302, "http://other.example:8080/x?"),
        ("/secure/%2A?x", "catalog:15001", 308, "https://catalog/secure/%2A?x"),
        ("/same", "catalog:15001", 307, "http://catalog/same"),
        ("/stays/x", "catalog:15001", 303, "http://catalog:15001/stays/x"),
    ],
)
def test_redirects(world, target, host, status, location):
    answer = request(WEB, target, host=host)
    assert (answer.status, answer.header("location"), answer.body) == (status, [location], b"")
    assert not world.app.seen


@pytest.mark.parametrize(
    ("method", "target", "status", "body"),
    [
        ("GET", "/teapot", 418, "short and stout"),
        ("POST", "/teapot", 418, "short and stout"),
        ("GET", "/hostile", 200, BODY),
        ("HEAD", "/hostile", 200, ""),
        ("GET", "/none", 204, ""),
    ],
)
def test_direct_responses(world, method, target, status, body):
    answer = request(WEB, target, method=method)
    assert (answer.status, answer.body.decode()) == (status, body)
    assert answer.header("content-type") == ([] if status == 204 else ["text/plain"])
    assert answer.header("x-set") == ([HOSTILE] if target == "/hostile" else [])
    assert not world.app.seen


def test_request_headers_are_changed(world):
    sent = [("X-Gone", "1"), ("x-set", "a"), ("X-Set", "b"), ("x-add", "1"), ("x-keep", "")]
    request(WEB, "/changed", headers=sent)
    (seen,) = world.app.seen
    assert sorted(seen.headers) == sorted(
        [
            ("host", "catalog"),
            ("x-mesh-identity", "spiffe://shop.example/web"),
            *(("x-set", HOSTILE), ("x-add", "1"), ("x-add", "2"), ("x-keep", "")),
        ]
    )


def test_no_route_speaks_for_another(world):
    request(WEB, "/identity")
    assert dict(world.app.seen[0].headers)["x-mesh-identity"] == "spiffe://shop.example/web"


@pytest.mark.parametrize(
    ("target", "answered", "status", "changed"),
    [
        ("/changed", 200, 200, True),
        ("/changed", 503, 503, True),
        ("/changed", 425, 425, True),
        ("/marked", 200, 200, True),
        ("/marked", 504, 504, True),
        ("/headed", None, 302, True),
        ("/dead", None, 503, False),
        ("/dead/a//b", None, 400, False),
        ("/changed", None, 503, False),
        ("/marked", None, 503, False),
    ],
)
def test_response_headers_are_changed_on_answers_of_the_callee_and_of_the_route(
    world, target, answered, status, changed
):
    if answered:
        world.app.answer = lambda handler: handler.reply(answered, headers={"x-app": "1", "x-other": "2"})
    elif target != "/headed":
        world.app.stop()
    try:
        answer = request(WEB, target)
    finally:
        if world.app.stopped:
            world.app.start()
    assert (answer.status, answer.header("x-by")) == (status, ["route"] * changed)
    assert answer.header("x-app") == []
    assert answer.header("x-other") == (["2"] if answered else [])
    assert answer.header("x-mesh-hop") == []


def test_a_timeout_is_no_answer_of_the_callee(world):
    world.app.answer = lambda handler: time.sleep(1)
    answer = request(WEB, "/marked")
    assert (answer.status, answer.header("x-by")) == (504, [])
