"""Requests at the edges of a mesh's conditions: what one takes, what it nearly takes, and what only looks like it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from tests.behaviour.tables import Expect, Row
from tests.differential.meshes import (
    HEADERS,
    METHODS,
    REGEXES,
    VALUE_REGEXES,
    VALUES,
    Document,
    once_in,
    paths,
)
from tests.differential.worlds import Document as Mesh

NOTHING = Expect()
"""The simulator says what is right."""

FITTING = dict(zip(VALUE_REGEXES, ("42", "abc", "b", "", "v2", "a, b", "xyz", "false"), strict=True))
TAILS = ("", "", "", "", "", "", "/", "/x", "x", "/x/y", "/...", ";", ";a=1", "%20", "%25", "~", "?", ".")
ODD_METHODS = ("GETS", "GE", "get", "M-SEARCH", "G_T", "PROPFIND", "Get", "OPTION")
REFUSED_TAILS = (
    "/.",
    "/..",
    "//",
    "/..;a",
    "%2F",
    "%2f",
    "%2e",
    "%00",
    "%zz",
    "\\",
    "%41",
    "/%2e%2e",
    "#f",
    "\xe4",
    "%",
)
"""Of targets that are not canonical."""

SEQUENCES = (
    "200",
    "200",
    "200",
    "200",
    "503,200",
    "503,503,200",
    "503",
    "500,200",
    "404",
    "404,200",
    "403,403,403,403,200",
    "502,504,503,200",
    "408,200",
    "429",
    "425",
    "470",
    "204",
    "304",
    "302",
    "501,200",
    "504,500,200",
)
ANSWERED: tuple[list[list[str]], ...] = (
    [],
    [],
    [["x-a", "1"], ["x-a", "2"]],
    [["X-Case", "v"], ["x-b", ""]],
    [["content-type", "text/x"], ["x-ab", "a, b"]],
    [["set-cookie", "a=1"], ["set-cookie", "b=2"], ["server", "own"]],
    [["x_under", "1"], ["cookie", "x"]],
)
EXTRA: tuple[tuple[str, str], ...] = (
    ("x-mesh-identity", "spiffe://test.example/from-envoy"),
    ("X_Mesh_Identity", "a"),
    ("x.mesh.identity", "a"),
    ("X-Forwarded-Client-Cert", "By=a"),
    ("x_forwarded-client.cert", "a"),
    ("x-mesh-status", "425"),
    ("x-forwarded-for", "1.2.3.4"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "callee-1"),
    ("x-original-url", "/a"),
    ("x-long", "v" * 4000),
    ("accept", "a/b"),
    ("accept-encoding", "gzip"),
    ("te", "trailers"),
    ("if-none-match", '"x"'),
    ("range", "bytes=0-1"),
    ("authorization", "Bearer x"),
    ("keep-alive", "timeout=5"),
    ("via", "1.1 x"),
    ("x-a", ""),
    ("x-b", "1"),
)


def _every(document: Mesh, name: str) -> list[Document]:
    """All matches of routes, and of rules in the same words."""
    service = document["services"][name]
    its = [match for route in service.get("routes", ()) for match in route.get("matches", [{}])]
    for rule in (*service.get("allow", ()), *service.get("deny", ())):
        its += [rule | {"path": path} for path in rule.get("paths", [{}])]
    return its or [{}]


@st.composite
def _path(draw: st.DrawFn, match: Document) -> str:
    ((kind, value),) = (match.get("path") or {"prefix": draw(paths())}).items()
    path = draw(st.sampled_from(REGEXES[value])) if kind == "regex" else value
    change = draw(st.sampled_from(("", "", "", "", "", "", "shorter", "case", "behind", "slash", "hex")))
    index = draw(st.integers(0, len(path) - 1))
    if once_in(draw, 16):
        change = draw(st.sampled_from(("escape", "doubled")))
    match change:
        case "shorter":
            path = path[:-1]
        case "case":
            path = path[:index] + path[index:].swapcase()
        case "escape":
            path = f"{path[:index]}%{ord(path[index]):02x}{path[index + 1 :]}"
        case "hex":
            path = path.replace("%C3%A4", "%c3%a4").replace("%20", "+")
        case "behind":
            path = f"/x{path}"
        case "doubled":
            path = path[:index] + path[index] + path[index:]
        case "slash":
            path = path.rstrip("/")
        case _:
            pass
    tail = draw(st.sampled_from(REFUSED_TAILS if once_in(draw, 12) else TAILS))
    return path + tail if path.startswith("/") else f"/{path}{tail}"


def _fitting(condition: Any) -> str:
    if isinstance(condition, str):
        return condition
    return FITTING[condition["regex"]] if "regex" in condition else "any"


@st.composite
def _near(draw: st.DrawFn, value: str) -> str:
    kind = draw(
        st.sampled_from(("same", "same", "same", "empty", "longer", "shorter", "case", "list", "other"))
    )
    changed = {
        "same": value,
        "empty": "",
        "longer": f"{value}x",
        "shorter": value[:-1],
        "case": value.swapcase(),
        "list": f"{value},{value}",
        "other": draw(st.sampled_from(VALUES)),
    }
    return changed[kind].strip()


@st.composite
def _headers(draw: st.DrawFn, match: Document) -> list[tuple[str, str]]:
    lines = []
    for name, condition in match.get("headers", {}).items():
        for _ in range(draw(st.sampled_from((0, 1, 1, 1, 2)))):
            spelt = draw(st.sampled_from((name, name, name.upper(), name.lower(), name.replace("-", "_"))))
            lines.append((spelt, draw(_near(_fitting(condition)))))
    if once_in(draw, 3):
        lines.append((draw(st.sampled_from(HEADERS)), draw(st.sampled_from(("", *VALUES)))))
    if once_in(draw, 5):
        lines.append(draw(st.sampled_from(EXTRA)))
    return draw(st.permutations(lines))


@st.composite
def _query(draw: st.DrawFn, match: Document) -> str:
    parts = []
    for name, condition in match.get("query", {}).items():
        for _ in range(draw(st.sampled_from((0, 1, 1, 1, 2)))):
            value = draw(_near(_fitting(condition))).replace(" ", "%20")
            spelt = draw(
                st.sampled_from((name, name, name, name.swapcase(), name.replace("%20", "+"), name + "x"))
            )
            parts.append(
                draw(st.sampled_from((f"{spelt}={value}", f"{spelt}={value}", spelt, f"{spelt}=={value}")))
            )
    if once_in(draw, 4):
        extra = draw(
            st.sampled_from(
                ("x=1", "", "q", "=1", "q=1?", "//", "/../", "a;q=1", "%zz", "q=%2f", "q=\\", "Q=1", "q=a#b")
            )
        )
        parts.insert(draw(st.integers(0, len(parts))), extra)
    joint = draw(st.sampled_from(("&", "&", "&", ";", "&&")))
    return f"?{joint.join(parts)}" if parts else ""


def _hosts(name: str) -> st.SearchStrategy[str]:
    usual = (name,) * 8
    spelt = (
        f"{name}.test.mesh",
        f"{name}:8080",
        f"{name}.",
        name.upper(),
        f"{name}.test.mesh.:80",
        f"{name}:",
        f"{name}:0080",
    )
    own = (
        f"h.{name}.example",
        f"a.{name}.example",
        f"a.h.{name}.example",
        f"b.a.h.{name}.example",
        f"{name}.example",
    )
    odd = (
        f"x{name}",
        f"{name}x",
        f"a.{name}",
        f"H.{name}.EXAMPLE:443",
        f"{name}.example.",
        f"{name}.other",
        f".{name}.example",
        f"{name}.test.mesh.x",
    )
    return st.sampled_from((*usual, *usual, *spelt, *own, *own, *odd))


@st.composite
def requests(draw: st.DrawFn, document: Mesh, name: str) -> Row:
    """One request to the callee ``name`` or near it."""
    match = draw(st.sampled_from(_every(document, name)))
    methods = match.get("methods") or ["GET"]
    usual = (*methods, *methods, *methods, *methods, *METHODS)
    method = draw(st.sampled_from(ODD_METHODS if once_in(draw, 15) else usual))
    orders: dict[str, Any] = {"status": draw(st.sampled_from(SEQUENCES))}
    if once_in(draw, 16):
        orders["close"] = draw(st.sampled_from(("before", "reset", "before,no")))
    answered = draw(st.sampled_from(ANSWERED))
    if answered:
        orders["headers"] = json.dumps(answered)
    body = draw(st.sampled_from((None, 0, 5, 3000))) if method in ("POST", "PUT", "PATCH") else None
    return Row(
        "",
        NOTHING,
        method=method,
        host=draw(_hosts(name)),
        target=draw(_path(match)) + draw(_query(match)),
        headers=draw(_headers(match)),
        body=body,
        orders=orders,
    )
