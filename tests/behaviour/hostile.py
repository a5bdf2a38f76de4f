"""Requests that try to be taken for something else, by a grammar and a seed, and what the contract says of each.

Paths that nearly are what a rule names; headers that are nearly the identity's; heads that two readers read in two ways.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import cache

from meshctl.ir.mesh import UNTRUSTED_HEADERS

HOST = "server"
Line = tuple[str, str]

RULES = {
    "deny": [
        {"paths": [{"prefix": "/admin"}, {"regex": "/[a-z]+/secret[0-9]*"}]},
        {"methods": ["DELETE"]},
        {"headers": {"x-blocked": {"present": True}}},
        {"paths": [{"exact": "/Mixed"}], "headers": {"x-role": "guest"}},
    ],
    "allow": [
        {
            "from": ["client"],
            "paths": [{"prefix": "/a"}, {"prefix": "/admin"}, {"exact": "/Mixed"}, {"exact": "/"}],
        },
        {"from": ["client"], "paths": [{"regex": "/[a-z]+/secret[0-9]*"}, {"prefix": "/x%20y"}]},
        {"from": ["client"], "methods": ["POST"], "paths": [{"prefix": "/post"}]},
        {"from": ["client"], "headers": {"x-role": "admin"}},
        {"from": ["other"]},
    ],
}
"""Of the callee: what a path, a method, a header and a name decide."""


@dataclass(frozen=True)
class Sent:
    """One request. ``lines`` in order, Host among them."""

    kind: str
    method: str = "GET"
    target: str = "/a"
    lines: tuple[Line, ...] = ()
    body: bytes = b""
    raw: str = ""
    """Lines of the head that are no headers, behind the others."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.method} {self.target!r} {list(self.lines)} {self.raw!r}"


_SEGMENTS = (
    *("a", "a", "admin", "Admin", "ADMIN", "adm%69n", "admin;x", "admin.", "admin%20", "admin%09", "admin%00", "%61dmin", "a/../admin"),
    *("Mixed", "mixed", "secret", "secret1", "secret%31", "x%20y", "x%20Y", "post", "public", "x", "", ".", "..", "...", "%2e", "%2E%2e", ".%2e"),
    *("a%2fb", "a%2Fadmin", "a%5cadmin", "a\\admin", "..;", ".;x=1", "a;/admin", "%c0%af", "%C3%A4", "%c3%a4", "%ff", "%", "%4", "%zz", "%25", "%252e"),
    *("a b", "\xe4", "a#admin", "a~b", "a'b", "a(b)", "a@b", "a:b", "a*b", "a|b", "a^b", "a`b", 'a"b', "a<b>", "a{b}", "a$b", "a+b", "a,b", "a=b&c"),
)  # fmt: skip
_STARTS = ("/", "/", "/", "/", "/", "/", "//", "/./", "/../", "/.;/", "/%2f", "/\\", "///", "/%2e/")
_QUERIES = (
    "",
    "",
    "",
    "",
    "?",
    "?a=b",
    "?/../admin",
    "?a=//",
    "?%2e%2e/",
    "?a?b",
    "?a#b",
    "?\x7f",
    "?a\\b",
    "?x=%00",
    "?" + "q" * 500,
)


def _path(draw: random.Random) -> str:
    segments = [draw.choice(_SEGMENTS) for _ in range(draw.choice((1, 1, 2, 2, 3)))]
    tail = draw.choice(("", "", "", "", "/", "/.", "/..", "//", "?"))
    return draw.choice(_STARTS) + "/".join(segments) + tail + draw.choice(_QUERIES)


def paths(draw: random.Random) -> Sent:
    """A target at the edges of what is canonical and of what a rule names."""
    return Sent("path", draw.choice(("GET", "GET", "GET", "POST")), _path(draw))


def _spelt(draw: random.Random, name: str) -> str:
    mixed = (draw.choice((each.lower(), each.upper())) for each in name)
    return "".join(draw.choice("--_.") if each == "-" else each for each in mixed)


_CLAIMS = (
    "spiffe://test.example/other",
    "other",
    "By=x;URI=spiffe://test.example/other",
    "",
    "spiffe://test.example/other,x",
    "O=test.example,CN=other",
)
_NEAR = (
    "x-mesh-identity-",
    "xx-mesh-identity",
    "x-mesh--identity",
    "x-meshidentity",
    "x-mesh-identity2",
    "y-mesh-identity",
    "x+mesh+identity",
    "x~mesh-identity",
)


def claims(draw: random.Random) -> Sent:
    """Lines that say who the caller is, in any spelling that an application might take for the real one."""
    names = sorted(UNTRUSTED_HEADERS)
    lines = [(_spelt(draw, draw.choice(names)), draw.choice(_CLAIMS)) for _ in range(1 + draw.randrange(3))]
    if draw.randrange(4) == 0:
        lines.append((draw.choice(_NEAR), draw.choice(_CLAIMS)))
    return Sent("claim", target=draw.choice(("/a", "/a/x", "/admin", "/", "/x")), lines=tuple(lines))


def conditions(draw: random.Random) -> Sent:
    """Headers, methods and paths that nearly are what a rule asks for."""
    names = (
        "x-role",
        "X-Role",
        "x-roles",
        "x_role",
        "x.role",
        "x-blocked",
        "X-BLOCKED",
        "x_blocked",
        "x-blockedx",
    )
    values = (
        "admin",
        "Admin",
        "admin ",
        "admin,guest",
        "guest",
        "",
        "admins",
        " admin",
        '"admin"',
        "adm%69n",
    )
    lines = tuple((draw.choice(names), draw.choice(values)) for _ in range(draw.randrange(3)))
    method = draw.choice(
        (
            "GET",
            "HEAD",
            "POST",
            "PUT",
            "DELETE",
            "OPTIONS",
            "PATCH",
            "GET",
            "delete",
            "Delete",
            "DEL",
            "PROPFIND",
        )
    )
    target = draw.choice(
        ("/a", "/x", "/post", "/postx", "/post/x", "/Mixed", "/mixed", "/b/secret1", "/b/secretx", "/admin/x")
    )
    return Sent("condition", method, target, lines)


def nominations(draw: random.Random) -> Sent:
    """`Connection` names a header that something downstream relies on."""
    named = draw.choice(
        (
            "x-mesh-identity",
            "X-Mesh-Identity",
            "x_mesh_identity",
            "x-role",
            "host",
            "content-length",
            "x-mesh-status",
            "close",
            "te",
            "x-echo-nothing",
        )
    )
    value = draw.choice((named, f"keep-alive, {named}", f"{named},{named}", f"{named} ", f",{named}"))
    lines = [
        ("Connection", value),
        (draw.choice(("x-role", "X-Mesh-Identity", "x-a")), "admin"),
        ("te", draw.choice(("gzip", "", "x"))),
    ]
    return Sent("nomination", target=draw.choice(("/a", "/x")), lines=tuple(lines[: 2 + draw.randrange(2)]))


def hosts(draw: random.Random) -> Sent:
    """No Host, two of them, or one that is spelt otherwise."""
    others = (
        "server",
        "Server",
        "other",
        "",
        "server:80",
        "server.",
        "server.test.mesh",
        "a@server",
        "server/x",
        "server?x",
        "server#",
        "[::1]",
        "server server",
        "server\\x",
    )
    lines = tuple(
        (draw.choice(("Host", "host", "HOST")), draw.choice(others))
        for _ in range(draw.choice((0, 1, 1, 2, 3)))
    )
    return Sent("host", target=draw.choice(("/a", "/admin")), lines=lines or (("x-no", "host"),))


_LENGTHS = (
    "5",
    "05",
    "+5",
    "-5",
    "5, 5",
    "5,6",
    "0x5",
    "5 ",
    "",
    "5.0",
    "99999999999999999999",
    "0",
    "4",
    "6",
    "abc",
)
_CODINGS = (
    "chunked",
    "Chunked",
    " chunked",
    "chunked ",
    "identity",
    "gzip, chunked",
    "chunked, identity",
    "xchunked",
    "chunked;q=1",
    "",
    '"chunked"',
    "\x0bchunked",
)


def framings(draw: random.Random) -> Sent:
    """Two lengths, a length and chunks, and spellings of either that one reader takes and another does not."""
    lines = []
    for _ in range(1 + draw.randrange(2)):
        if draw.randrange(2):
            lines.append(
                (draw.choice(("Content-Length", "content-length", "Content_Length")), draw.choice(_LENGTHS))
            )
        else:
            lines.append(
                (
                    draw.choice(("Transfer-Encoding", "transfer-encoding", "Transfer_Encoding")),
                    draw.choice(_CODINGS),
                )
            )
    body = draw.choice(
        (
            b"hello",
            b"",
            b"0\r\n\r\n",
            b"5\r\nhello\r\n0\r\n\r\n",
            b"0\r\n\r\nGET /admin HTTP/1.1\r\nHost: server\r\nx-echo-id: smuggled\r\n\r\n",
        )
    )
    return Sent("framing", "POST", "/a", tuple(lines), body)


_BYTES = ("\x00", "\x01", "\x08", "\t", "\x0b", "\x0c", "\r", "\x1b", "\x7f", "\x80", "\x85", "\xa0", "\xff")


def controls(draw: random.Random) -> Sent:
    """Bytes that have no place in a value or a name, and lines that are none."""
    byte = draw.choice(_BYTES)
    if draw.randrange(2):
        return Sent("control", lines=((draw.choice(("x-a", "x-role", "X-Mesh-Identity")), f"a{byte}b"),))
    raws = (
        f"x{byte}a: b",
        "x-role : admin",
        " x-role: admin",
        "x-role",
        ": admin",
        "x-a: b\r\n x-role: admin",
        "x-a: b\r\n\tc",
        "x role: admin",
        "x-a: b\n x-c: d",
        "X-Mesh-Identity : other",
        "(x): y",
        "x@y: z",
    )
    return Sent("line", raw=draw.choice(raws))


KINDS = (paths, paths, paths, paths, claims, claims, conditions, hosts, framings, nominations, controls)


@cache
def generated(seed: int, count: int) -> tuple[Sent, ...]:
    """So many that differ, the same ones for the same seed."""
    draw = random.Random(seed)
    found: dict[Sent, None] = {}
    while len(found) < count:
        sent = draw.choice(KINDS)(draw)
        traces = [("traceparent", draw.choice(_TRACES))] * draw.randrange(3)
        found[replace(sent, lines=(*sent.lines, *traces))] = None
    return tuple(found)


_TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_TRACES = (
    _TRACE,
    _TRACE.upper(),
    _TRACE + "-",
    _TRACE[:-1] + '"',
    '"}\\',
    "\\u0000",
    "\xff\xfe\xe4",
    "%[src]",
    "$pid",
    "00-" + "0" * 52,
    "",
)
"""For the access log, and for nobody else."""


def with_host(sent: Sent) -> tuple[Line, ...]:
    """All lines: what is not about Host has the right one."""
    return sent.lines if sent.kind == "host" else (("Host", HOST), *sent.lines)
