"""Random callees: routes that overlap, filters, splits, retries, faults, and rules of authorization.

All draw from few words, so that conditions meet: what one route takes, another one takes nearly.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from meshctl.ir import Proxy

Document = dict[str, Any]

SEGMENTS = (
    "a",
    "ab",
    "A",
    "b",
    "api",
    "v1",
    "x.y",
    "a%20b",
    "%C3%A4",
    "a+b",
    "~u",
    "a;v=1",
    "...",
    "$uri",
    "a=b",
    "'",
)
REGEXES: dict[str, tuple[str, ...]] = {
    "/[0-9]+": ("/0", "/42", "/4a", "/"),
    "/a/[0-9]+": ("/a/7", "/a/", "/a/7x", "/A/7"),
    "/(a|ab)(/.*)?": ("/a", "/ab", "/ab/", "/a/b/c", "/abc"),
    "/a.b": ("/a.b", "/axb", "/a/b", "/ab", "/a%20b"),
    "/[^/]+/b": ("/a/b", "//b", "/a/b/b", "/A/b"),
    "/x{1,3}": ("/x", "/xxx", "/xxxx", "/"),
    ".*\\.html": ("/a.html", "/.html", "/a/b.html", "/axhtml", "/a.htm"),
    "/.+": ("/", "/a", "/a/"),
    "/api(?:/v[12])?/.*": ("/api/", "/api/v1/x", "/api/v3/x", "/api"),
    "/a|/b": ("/a", "/b", "/a|/b", "/ab", "/b/"),
    "/A?b": ("/Ab", "/b", "/ab", "/A"),
    "/v1/[a-z]{2}": ("/v1/ab", "/v1/a", "/v1/abc", "/v1/AB"),
    "/[^a]": ("/b", "/a", "/%", "/ab"),
    "/a%20b.*": ("/a%20b", "/a%20b/x", "/a+b", "/a%20"),
    "/\\$uri/?": ("/$uri", "/$uri/", "/uri"),
    "/(ab)?/?": ("/", "/ab", "/ab/", "/a"),
}
"""Each with paths at its edge."""
VALUES = ("1", "0", "true", "a b", "a,b", "A", "a", "v1", "a=b", "%31", "a+b", '"q"', "a;b")
VALUE_REGEXES = ("[0-9]+", "a.*", "(a|b)", ".*", "v[12]", "a, ?b", "[^a]*", "true|false")
HEADERS = ("x-a", "x-b", "x-ab", "X-Case", "x_under", "user-agent", "cookie", "x-long")
QUERIES = ("q", "Q", "page", "a.b", "a%20b", "q[]")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE")
STATUSES = ("403", "404", "408", "500", "502", "503", "504")
"""That every proxy can try again on."""
CONDITIONS = ("connect-failure", "refused-stream", "reset", "gateway-error", "5xx")


def once_in(draw: st.DrawFn, times: int) -> bool:
    """True seldom, and never in the simplest value of all."""
    return draw(st.integers(0, times - 1)) == times - 1


def _some(items: tuple[str, ...], most: int) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(items), min_size=1, max_size=most, unique=True)


@st.composite
def paths(draw: st.DrawFn) -> str:
    parts = draw(st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=3))
    return "/" + "/".join(parts) + draw(st.sampled_from(("", "", "", "/")))


def path_matches() -> st.SearchStrategy[Document]:
    return st.one_of(
        st.builds(lambda path: {"prefix": path}, paths()),
        st.builds(lambda path: {"exact": path}, paths()),
        st.builds(lambda regex: {"regex": regex}, st.sampled_from(tuple(REGEXES))),
        st.sampled_from(
            ({"prefix": "/"}, {"exact": "/"}, {"prefix": "/a"}, {"prefix": "/a/b"}, {"exact": "/a"})
        ),
    )


def values(plain: tuple[str, ...]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.sampled_from(plain),
        st.builds(lambda regex: {"regex": regex}, st.sampled_from(VALUE_REGEXES)),
        st.just({"present": True}),
    )


def _conditions(names: tuple[str, ...], plain: tuple[str, ...]) -> st.SearchStrategy[Document]:
    return st.dictionaries(st.sampled_from(names), values(plain), min_size=1, max_size=2)


def _written(draw: st.DrawFn, chances: dict[str, tuple[int, st.SearchStrategy[Any]]]) -> Document:
    """Each key in one of so many documents."""
    return {key: draw(strategy) for key, (one_in, strategy) in chances.items() if once_in(draw, one_in)}


@st.composite
def matches(draw: st.DrawFn, callers: tuple[str, ...]) -> Document:
    found = _written(
        draw,
        {
            "methods": (4, _some(METHODS, 3)),
            "headers": (4, _conditions(HEADERS, VALUES)),
            "query": (5, _conditions(QUERIES, (*(each for each in VALUES if " " not in each), ""))),
            "from": (8, _some(callers, 2)),
        },
    )
    return found if found and not draw(st.integers(0, 3)) else found | {"path": draw(path_matches())}


@st.composite
def header_changes(draw: st.DrawFn) -> Document:
    names = draw(st.lists(st.sampled_from(HEADERS), min_size=1, max_size=3, unique_by=str.lower))
    found: Document = {}
    for name in names:
        kind = draw(st.sampled_from(("set", "add", "remove")))
        if kind == "remove":
            found.setdefault(kind, []).append(name)
        else:
            found.setdefault(kind, {})[name] = draw(st.sampled_from(VALUES))
    return found


@st.composite
def retries(draw: st.DrawFn) -> Document:
    found: Document = {
        "attempts": draw(st.integers(0, 3)),
        "retryOn": draw(_some((*CONDITIONS, *STATUSES), 3)),
        "backoff": {"base": "1ms", "max": "2ms"},
    }
    if draw(st.booleans()):
        found["nonIdempotent"] = draw(st.booleans())
    return found


def _path_changes(prefixed: bool) -> st.SearchStrategy[Document]:
    full = st.builds(lambda path: {"full": path}, paths())
    prefix = st.builds(lambda path: {"prefix": path}, st.one_of(paths(), st.just("/")))
    return st.one_of(prefix, full) if prefixed else full


@st.composite
def _redirects(draw: st.DrawFn, *, prefixed: bool) -> Document:
    return {"status": draw(st.sampled_from((301, 302, 303, 307, 308)))} | _written(
        draw,
        {
            "scheme": (3, st.sampled_from(("http", "https"))),
            "hostname": (2, st.sampled_from(("elsewhere.example", "a.b"))),
            "port": (3, st.sampled_from((80, 443, 8443))),
            "path": (2, _path_changes(prefixed)),
        },
    )


@st.composite
def _rewrites(draw: st.DrawFn, *, prefixed: bool) -> Document:
    found = _written(
        draw,
        {"path": (2, _path_changes(prefixed)), "hostname": (3, st.sampled_from(("new.example", "callee-0")))},
    )
    return found or {"hostname": "rewritten.example"}


@st.composite
def _backends(draw: st.DrawFn, callees: tuple[str, ...], subsets: tuple[str, ...]) -> list[Document]:
    every = [*({"subset": each} for each in subsets), *({"service": each} for each in callees)]
    chosen = draw(st.lists(st.sampled_from(every), min_size=1, max_size=3, unique_by=str))
    weights = [draw(st.sampled_from((1, 1, 2, 50, 0))) for _ in chosen]
    if not any(weights):
        weights[0] = 1
    return [each | {"weight": weight} for each, weight in zip(chosen, weights, strict=True)]


@st.composite
def routes(
    draw: st.DrawFn,
    name: str,
    number: int,
    others: tuple[str, ...],
    callers: tuple[str, ...],
    subsets: tuple[str, ...],
) -> Document:
    found: Document = {"name": f"r{number}"}
    its = draw(st.lists(matches(callers), max_size=3))
    if its:
        found["matches"] = its
    prefixed = all("prefix" in each.get("path", {"prefix": ""}) for each in its)
    if once_in(draw, 5):
        hosts = (
            f"h.{name}.example",
            f"*.{name}.example",
            f"*.h.{name}.example",
            f"{name}.example",
            name,
            f"a.h.{name}.example",
        )
        found["hostnames"] = draw(_some(hosts, 2))
    kind = draw(st.sampled_from(("send", "send", "send", "send", "redirect", "respond")))
    found |= _written(draw, {"responseHeaders": (4, header_changes())})
    if kind == "redirect":
        return found | {"redirect": draw(_redirects(prefixed=prefixed))}
    if kind == "respond":
        status = draw(st.sampled_from((200, 204, 201, 404, 418, 503)))
        body = draw(st.sampled_from(("", "short and stout", "ä $uri %[src] {}")))
        return found | {"respond": {"status": status} | ({"body": body} if body and status != 204 else {})}
    abort = st.builds(lambda status: {"abort": {"status": status}}, st.sampled_from((429, 500, 503, 418)))
    return found | _written(
        draw,
        {
            "backends": (3, _backends(others, subsets)),
            "rewrite": (4, _rewrites(prefixed=prefixed)),
            "requestHeaders": (3, header_changes()),
            "retries": (3, retries()),
            "fault": (12, abort),
        },
    )


@st.composite
def rules(draw: st.DrawFn, callers: tuple[str, ...]) -> Document:
    found = _written(
        draw,
        {
            "from": (2, _some((*callers, "*"), 2)),
            "methods": (3, _some(METHODS, 3)),
            "paths": (2, st.lists(path_matches(), min_size=1, max_size=2, unique_by=str)),
            "headers": (4, _conditions(HEADERS, VALUES)),
        },
    )
    return found or {"paths": [{"prefix": "/a"}]}


@st.composite
def callees(
    draw: st.DrawFn, names: tuple[str, ...], callers: tuple[str, ...], proxy: Proxy, own: int
) -> Document:
    """One service with its routes and rules; ``names`` are all callees, and ``own`` says which it is."""
    name = names[own]
    subsets = ("v1", "v2") if once_in(draw, 4) else ("v1",)
    count = draw(st.integers(1, 12))
    found: Document = {
        "proxy": str(proxy),
        "endpoints": [{"subset": each} for each in subsets],
        "routes": [draw(routes(name, each, names, callers, subsets)) for each in range(count)],
        "routeOrder": draw(st.sampled_from(("specificity", "listed"))),
    }
    return found | _written(
        draw,
        {
            "deny": (2, st.lists(rules(callers), min_size=1, max_size=3, unique_by=str)),
            "allow": (3, st.lists(rules(callers), min_size=1, max_size=3, unique_by=str)),
            "retries": (3, retries()),
            "idempotent": (6, _some(METHODS, 3)),
            "healthPath": (6, paths()),
        },
    )


@st.composite
def meshes(draw: st.DrawFn) -> Document:
    """Three callees, one of each proxy, and what holds for the mesh."""
    names = tuple(f"callee-{each}" for each in range(len(Proxy)))
    callers = tuple(f"from-{each}" for each in Proxy)
    mode = draw(st.sampled_from(("declared", "declared", "explicit", "open")))
    audit = draw(st.sampled_from((False, False, False, True)))
    services = {
        name: draw(callees(names, callers, proxy, number))
        for number, (name, proxy) in enumerate(zip(names, draw(st.permutations(list(Proxy))), strict=True))
    }
    return {"mesh": {"authorization": {"mode": mode, "audit": audit}}, "services": services}
