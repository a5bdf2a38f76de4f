"""Texts that a spec may hold at the places that go on the wire, and what a request must show of each.

A place makes one route, or one rule, for each of its texts; its requests prove that the text is itself on the wire,
and that a text of one character more, less or other is something else.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from tests.behaviour.client import Answer
from tests.behaviour.tables import Expect, Row

# Where quoting goes wrong: quotes, comments, variables, formats, patterns, words of the proxies, ends of blocks.
SNIPPETS = (
    *('"', "'", "\\", "\\\\", '\\"', "$", "${host}", "$1", "$$", "%", "%%", "%[src]", "%REQ(:path)%", "%{+Q}o", "%ci"),
    *("#", ";", "{", "}", "{{ x }}", "{% x %}", "{}", "[[", "]]", "]]]", "(", ")", "\\1", "\\x41", "\\n", "\\d", "\\E"),
    *("`id`", "$(id)", "&&", "|", "<", ">", "*", "**", "?", "+", ".", "^", "~", "~*", "!", "=", "==", "@", ",", ":", "::"),
    *("-i", "-m", "--", "-", "_", "default", "include", "hostnames", "volatile", "on", "off", "true", "null", "0", "-1"),
    *("%20", "%0a", "%00", "%zz", "//", "/../", "a,b", "a;b", "(?i)a", "[a-z]+", ".*", "TAG", "str(a)", '"}', "'--"),
)  # fmt: skip
CLEAN = "abcxyzABCXYZ0189-_.~!$&'()*+,;=:@"
"""What a path may hold without being escaped; behind a letter, for `.` and `.;` are segments of dots."""
ESCAPES = ("", "%20", "%22", "%23", "%24", "%25", "%25%7B", "%3F", "%7b", "%C3%A4", "%c3%a4", "%0A")
"""What a path may hold escaped, and must: it is compared and sent on as it stands."""
PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
TOKEN = "!#$%&'*+-.^_`|~abcxyz0189"
WORDS = (
    *("default", "include", "end", "if", "on", "off", "true", "null", "none", "all", "any", "unix", "self", "0", "1e3"),
    *("lua", "function", "return", "servers", "upstream", "backend", "frontend", "listen", "global", "acl", "nil"),
    *("a--b", "x" * 63),
)  # fmt: skip
WIDE = "äßżλЖ中🦀\u0301\u00a0\t\n"


NOTHING = Expect()
"""Each case says itself what is right."""


@dataclass(frozen=True)
class Case:
    """A request, and what is right about its answer and what the application saw."""

    row: Row
    right: Callable[[Answer, dict[str, Any]], bool]
    text: str


@dataclass
class Mesh:
    """What the cases need: the routes of `server`, what `guard` allows and `ward` denies, the host names and routes
    of the gateway `edge`, and services of which nothing runs."""

    routes: list[dict[str, Any]] = field(default_factory=list)
    rules: list[dict[str, Any]] = field(default_factory=list)
    hostnames: list[str] = field(default_factory=list)
    gateway_routes: list[dict[str, Any]] = field(default_factory=list)
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)


def texts(draw: random.Random, count: int, alphabet: str, longest: int = 40) -> Iterator[str]:
    """Every snippet that the alphabet can write, then words of snippets and letters, then the longest one."""
    whole = [each for each in SNIPPETS if set(each) <= set(alphabet)]
    yield from whole
    for _ in range(count):
        parts = [draw.choice([*whole, *alphabet]) for _ in range(draw.randint(1, 8))]
        yield "".join(parts)[:longest]
    yield "".join(draw.choice(alphabet) for _ in range(longest))


def neighbours(draw: random.Random, text: str, alphabet: str) -> Iterator[str]:
    """Texts that differ from ``text`` in one place."""
    letters = alphabet.strip()
    index = draw.randrange(len(text))
    yield text[:index] + draw.choice(letters.replace(text[index], "")) + text[index + 1 :]
    yield text + draw.choice(letters)
    if text.swapcase() != text:
        yield text.swapcase()


def escaped(text: str) -> str:
    """A regular expression that takes exactly ``text``."""
    return "".join(each if each.isalnum() or each in " _" else f"\\{each}" for each in text)


def responds(status: int = 200, body: bytes | None = None) -> Callable[[Answer, dict[str, Any]], bool]:
    return lambda answer, _: answer.status == status and (body is None or answer.body == body)


def _matches(mesh: Mesh, kind: str, text: str, match: dict[str, Any], asked: Row, others: list[Row]) -> None:
    """A route that answers itself when ``match`` holds: it does for ``asked``, and not for the others."""
    mesh.routes.append({"name": f"{kind}-{len(mesh.routes)}", "matches": [match], "respond": {"status": 200}})
    mesh.cases.append(Case(asked, responds(), text))
    mesh.cases.extend(Case(other, responds(404), text) for other in others)


def header_values(mesh: Mesh, draw: random.Random, count: int) -> None:
    alphabet = PRINTABLE + " "
    for regex in (False, True):
        for text in texts(draw, count, alphabet, 200 if regex else 1000):
            text = text.strip() or "x"  # noqa: PLW2901
            path = f"/h{len(mesh.routes)}"
            condition = {"regex": escaped(text)} if regex else text
            rows = [
                Row("", NOTHING, target=path, headers=[("x-v", each)])
                for each in (text, *neighbours(draw, text, alphabet))
            ]
            match = {"path": {"exact": path}, "headers": {"x-v": condition}}
            _matches(mesh, "header", text, match, rows[0], rows[1:])


def header_names(mesh: Mesh, draw: random.Random, count: int) -> None:
    for text in texts(draw, count, TOKEN):
        path, name = f"/n{len(mesh.routes)}", f"x-{text}"
        rows = [
            Row("", NOTHING, target=path, headers=[(each, "v")])
            for each in (name, name.upper(), f"{name}z", f"y{name}")
        ]
        match = {"path": {"exact": path}, "headers": {name: "v"}}
        _matches(mesh, "name", name, match, rows[0], rows[2:])
        mesh.cases.append(Case(rows[1], responds(), name))


def queries(mesh: Mesh, draw: random.Random, count: int) -> None:
    values = PRINTABLE.replace("&", "").replace("#", "")
    names = values.replace("=", "")
    for named, alphabet in ((True, names), (False, values)):
        for text in texts(draw, count, alphabet, 200):
            path = f"/q{len(mesh.routes)}"
            rows = [
                Row("", NOTHING, target=f"{path}?" + (f"{each}=v" if named else f"n={each}"))
                for each in (text, *neighbours(draw, text, alphabet))
            ]
            query = {text: "v"} if named else {"n": text}
            _matches(mesh, "query", text, {"path": {"exact": path}, "query": query}, rows[0], rows[1:])


def _path(draw: random.Random, folder: str, text: str) -> tuple[str, list[str]]:
    """A path that ends in ``text``, maybe with an escape behind it, and its neighbours."""
    escape = draw.choice(ESCAPES)
    # A letter before the text, for a segment of dots is no path.
    others = [f"{folder}/s{each}{escape}" for each in neighbours(draw, text, CLEAN)]
    if escape:
        others.append(f"{folder}/s{text}{draw.choice([each for each in ESCAPES if each != escape])}")
    return f"{folder}/s{text}{escape}", others


def paths(mesh: Mesh, draw: random.Random, count: int) -> None:
    for kind in ("exact", "prefix", "regex"):
        for text in texts(draw, count, CLEAN, 200):
            path, others = _path(draw, f"/p{len(mesh.routes)}", text)
            match = {kind: escaped(path) if kind == "regex" else path}
            rows = [Row("", NOTHING, target=each) for each in (path, *others)]
            _matches(mesh, kind, path, {"path": match}, rows[0], rows[1:])
            if kind == "prefix":
                mesh.cases.append(Case(Row("", NOTHING, target=f"{path}/x"), responds(), path))


def names(mesh: Mesh, draw: random.Random, count: int) -> None:
    """Words that mean something to a proxy, as names of routes and of services that nothing listens for."""
    for number, word in enumerate(WORDS):
        mesh.services[word] = {"port": 8080, "endpoints": [{"address": f"127.50.0.{100 + number}"}]}
        mesh.cases.append(Case(Row("", NOTHING, host=word), responds(503), word))
        mesh.cases.append(Case(Row("", NOTHING, host=f"{word}z"), responds(403), word))
        match = {"path": {"exact": f"/name-{word}"}}
        mesh.routes.append({"name": word, "matches": [match], "respond": {"status": 200, "body": word}})
        mesh.cases.append(Case(Row("", NOTHING, target=f"/name-{word}"), responds(200, word.encode()), word))


def _single(mesh: Mesh, kind: str, text: str, does: dict[str, Any], right: Any) -> None:
    path = f"/f{len(mesh.routes)}"
    route = {"name": f"{kind}-{len(mesh.routes)}", "matches": [{"path": {"exact": path}}], **does}
    mesh.routes.append(route)
    mesh.cases.append(Case(Row("", NOTHING, target=path), right, text))


def changed_headers(mesh: Mesh, draw: random.Random, count: int) -> None:
    for text in texts(draw, count, PRINTABLE + " ", 1000):
        text = text.strip() or "x"  # noqa: PLW2901
        changes = {"set": {"x-set": text}, "add": {"x-add": text}}

        def seen(answer: Answer, arrived: dict[str, Any], text: str = text) -> bool:
            headers = [tuple(each) for one in arrived["seen"] for each in one["headers"]]
            return {("x-set", text), ("x-add", text)} <= set(headers)

        def told(answer: Answer, _: dict[str, Any], text: str = text) -> bool:
            return bool(answer.values("x-set") == [text] == answer.values("x-add"))

        _single(mesh, "request", text, {"requestHeaders": changes}, seen)
        _single(mesh, "response", text, {"responseHeaders": changes}, told)
    for text in texts(draw, count, TOKEN):
        name = f"x-{text}"

        def named(answer: Answer, arrived: dict[str, Any], name: str = name) -> bool:
            headers = [(key.lower(), value) for one in arrived["seen"] for key, value in one["headers"]]
            return (name, "v") in headers and answer.values(name) == ["v"]

        change = {"set": {name: "v"}}
        _single(mesh, "named", name, {"requestHeaders": change, "responseHeaders": change}, named)


def bodies(mesh: Mesh, draw: random.Random, count: int) -> None:
    for text in texts(draw, count, PRINTABLE + " " + WIDE, 400):
        _single(mesh, "body", text, {"respond": {"status": 200, "body": text}}, responds(200, text.encode()))


def new_paths(mesh: Mesh, draw: random.Random, count: int) -> None:
    for text in texts(draw, count, CLEAN, 200):
        path = f"/new/s{text}"

        def located(answer: Answer, _: dict[str, Any], path: str = path) -> bool:
            return answer.status == 302 and answer.values("location") == [f"http://server{path}"]

        def rewritten(answer: Answer, arrived: dict[str, Any], path: str = path) -> bool:
            return bool([each["target"] for each in arrived["seen"]] == [path])

        _single(mesh, "redirect", path, {"redirect": {"path": {"full": path}}}, located)
        _single(mesh, "rewrite", path, {"rewrite": {"path": {"full": path}}}, rewritten)


def new_prefixes(mesh: Mesh, draw: random.Random, count: int) -> None:
    """Both the prefix that goes and the one that comes."""
    for text in texts(draw, count, CLEAN, 200):
        for kind in ("redirect", "rewrite"):
            old, _ = _path(draw, f"/c{len(mesh.routes)}", text)
            new, _ = _path(draw, "/new", text)
            does = {kind: {"path": {"prefix": new}}}
            mesh.routes.append(
                {"name": f"{kind}-{len(mesh.routes)}", "matches": [{"path": {"prefix": old}}], **does}
            )
            for rest in ("", "/", "/x?a=/b"):

                def right(
                    answer: Answer, arrived: dict[str, Any], kind: str = kind, to: str = new + rest
                ) -> bool:
                    if kind == "redirect":
                        return answer.status == 302 and answer.values("location") == [f"http://server{to}"]
                    return bool([each["target"] for each in arrived["seen"]] == [to])

                mesh.cases.append(Case(Row("", NOTHING, target=f"{old}{rest}"), right, f"{old} to {new}"))


def _rule(mesh: Mesh, text: str, rule: dict[str, Any], asked: list[Row], others: list[Row]) -> None:
    """A rule that holds for ``asked`` and not for the others: one service lets nobody else in, one lets all others in."""
    mesh.rules.append(rule)
    for rows, guard, ward in ((asked, 200, 403), (others, 403, 200)):
        for row in rows:
            mesh.cases.append(Case(replace(row, host="guard"), responds(guard), text))
            mesh.cases.append(Case(replace(row, host="ward"), responds(ward), text))


def rules(mesh: Mesh, draw: random.Random, count: int) -> None:
    """Rules of authorization, which another part of each proxy decides about."""
    alphabet = PRINTABLE + " "
    for text in texts(draw, count, alphabet, 200):
        text = text.strip() or "x"  # noqa: PLW2901
        path = f"/a{len(mesh.rules)}"
        rows = [
            Row("", NOTHING, target=path, headers=[("x-v", each)])
            for each in (text, *neighbours(draw, text, alphabet))
        ]
        _rule(mesh, text, {"paths": [{"exact": path}], "headers": {"x-v": text}}, rows[:1], rows[1:])
    for kind in ("exact", "prefix", "regex"):
        for text in texts(draw, count, CLEAN, 100):
            path, others = _path(draw, f"/b{len(mesh.rules)}", text)
            rows = [Row("", NOTHING, target=each) for each in (path, f"{path}/x", *others)]
            held = 2 if kind == "prefix" else 1
            written = escaped(path) if kind == "regex" else path
            _rule(mesh, path, {"paths": [{kind: written}]}, rows[:held], rows[held:])


PLACES = (
    header_values,
    header_names,
    queries,
    paths,
    changed_headers,
    bodies,
    new_paths,
    new_prefixes,
    rules,
    names,
)
