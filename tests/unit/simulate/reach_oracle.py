"""Who reaches whom in a small mesh, worked out from what is written by asking for every request there is.

Knows nothing of meshctl: a spec here is a document of dicts in the words of the spec language, drawn from so few words that
the requests of :data:`REQUESTS` tell all of its conditions apart. Routes stand in the order in which they are tried.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, NamedTuple

Document = dict[str, Any]
Pair = tuple[str, str]

NAMES = ("s0", "s1", "s2", "s3", "s4")
STREAM = "s4"
"""The service that takes bytes and no requests."""

WRITTEN_PATHS = ({"prefix": "/"}, {"prefix": "/a"}, {"exact": "/a"}, {"prefix": "/a/b"}, {"exact": "/b"})
_PATHS = ("/", "/a", "/a/", "/ab", "/a/b", "/a/b/", "/a/b/c", "/a/c", "/b", "/b/", "/z")


class Asked(NamedTuple):
    """A request, and the values of its lines of `x-a`."""

    method: str
    path: str
    x_a: tuple[str, ...]


REQUESTS = tuple(
    Asked(*each)
    for each in itertools.product(("GET", "POST", "PUT", "DELETE"), _PATHS, ((), ("1",), ("2",), ("1", "2")))
)


def drawn(draw: random.Random) -> Document:
    """A mesh of all or nearly all services."""
    names = NAMES if draw.random() < 0.7 else draw.sample(NAMES, 4)
    authorization: Document = {"mode": draw.choice(("declared", "explicit", "open", "open"))}
    if draw.random() < 0.1:
        authorization["audit"] = True
    return {
        "mesh": {"authorization": authorization},
        "services": {name: _service(draw, name, names) for name in names},
    }


def changed(draw: random.Random, before: Document) -> Document:
    """The same with one to three parts of it drawn anew: from one word of a route to a service that goes."""
    after = deepcopy(before)
    for _ in range(draw.choice((1, 1, 1, 3))):
        names = list(after["services"])
        name = draw.choice(names)
        anew, service = _service(draw, name, names), after["services"][name]
        match draw.choice((*("call", "word", "word", "allow", "deny") * 2, "routes", "mesh", "gone")):
            case "mesh":
                after["mesh"] = drawn(draw)["mesh"]
            case "gone" if len(names) > 3:
                after = _without(after, name)
            case "call":
                callee = draw.choice([each for each in names if each != name])
                if service["calls"].pop(callee, None) is None:
                    service["calls"][callee] = {"localPort": 15999} if callee == STREAM else {}
            case "word" if "routes" in service:
                other = _route(draw, 0, [each for each in names if each != name])
                _reword(draw, draw.choice(service["routes"]), other)
            case part if part in anew:
                service[part] = anew[part]
            case part:
                service.pop(part, None)
    return after


def _reword(draw: random.Random, route: Document, other: Document) -> None:
    """One thing that ``route`` says is as ``other`` has it."""
    part = draw.choice(("matches", "backends", "mirror", "rewrite", "respond"))
    if part == "respond" and part in other:
        for each in ("backends", "mirror", "rewrite"):
            route.pop(each, None)
    elif part not in other or "respond" in route:
        route.pop(part, None)
        return
    route[part] = other[part]


def _without(document: Document, gone: str) -> Document:
    services = {name: its for name, its in document["services"].items() if name != gone}
    for its in services.values():
        its["calls"].pop(gone, None)
        for route in its.get("routes", ()):
            for part in ("backends", "mirror"):
                left = [each for each in route.pop(part, ()) if each.get("service") != gone]
                route.update({part: left} if left else {})
        for rule in (*its.get("allow", ()), *its.get("deny", ())):
            named = [each for each in rule.get("from", ()) if each != gone]
            rule.update({"from": named or ["*"]} if "from" in rule else {})
        for match in (match for route in its.get("routes", ()) for match in route.get("matches", ())):
            seen = [each for each in match.get("from", ()) if each != gone]
            match.update({"from": seen or [next(iter(services))]} if "from" in match else {})
    return {**document, "services": services}


def _service(draw: random.Random, name: str, names: tuple[str, ...] | list[str]) -> Document:
    others = [each for each in names if each != name]
    found: Document = {"calls": {each: {} for each in others if draw.random() < 0.4}}
    if STREAM in found["calls"]:
        found["calls"][STREAM] = {"localPort": 15999}
    for part in ("allow", "deny"):
        if draw.random() < 0.4:
            found[part] = [_rule(draw, name, names) for _ in range(draw.randint(1, 2))]
    if name == STREAM:
        return found | {"protocol": "tcp"}
    if draw.random() < 0.7:
        its = [_route(draw, number, others) for number in range(draw.randint(1, 3))]
        found["routes"] = its
    return found | {"routeOrder": "listed"}


def _rule(draw: random.Random, name: str, names: tuple[str, ...] | list[str]) -> Document:
    rule: Document = {"from": draw.sample([*names, "*"], draw.randint(1, 2))}
    if name == STREAM:
        return rule
    return (
        rule
        | _some(draw, {"methods": [["GET"], ["POST", "GET"]], "headers": [{"x-a": "1"}]})
        | ({"paths": [draw.choice(WRITTEN_PATHS)]} if draw.random() < 0.6 else {})
    )


def _some(draw: random.Random, choices: dict[str, list[Any]]) -> Document:
    return {key: draw.choice(values) for key, values in choices.items() if draw.random() < 0.35}


def _route(draw: random.Random, number: int, others: list[str]) -> Document:
    match = _some(
        draw, {"methods": [["GET"], ["PUT"]], "headers": [{"x-a": "2"}], "from": [[each] for each in others]}
    )
    if draw.random() < 0.7:
        match["path"] = draw.choice(WRITTEN_PATHS)
    route: Document = {"name": f"r{number}"} | ({"matches": [match]} if match else {})
    kind = draw.random()
    onward = [each for each in others if each != STREAM]
    if kind < 0.1:
        return route | {"respond": {"status": 204}}
    if kind < 0.5 and onward:
        route["backends"] = [{"service": draw.choice(onward), "weight": draw.choice((0, 1))}]
        route["backends"].append({"service": draw.choice(onward), "weight": 1})
        if route["backends"][0]["service"] == route["backends"][1]["service"]:
            del route["backends"][0]
    if kind > 0.8 and onward:
        route["mirror"] = [{"service": draw.choice(onward)}]
    if draw.random() < 0.2:
        route["rewrite"] = {"path": {"full": draw.choice(("/a/b", "/b"))}}
    return route


class Oracle:
    """What comes of requests in one mesh."""

    def __init__(self, document: Document) -> None:
        self.services = document["services"]
        self._authorization = document["mesh"]["authorization"]
        self._declared = _declared(self.services)

    def edges(self) -> set[Pair]:
        """Each caller and callee so that some request of the caller's comes to the callee's application."""
        found = set()
        for caller, its in self.services.items():
            for listed in its["calls"]:
                if listed == STREAM:
                    found |= {(caller, STREAM)} if self.admits(STREAM, caller, REQUESTS[0]) else set()
                    continue
                for asked in REQUESTS:
                    for callee, seen in _arrivals(self.services[listed], listed, caller, asked):
                        if (caller, callee) not in found and self.admits(callee, caller, seen):
                            found.add((caller, callee))
        return found

    def admits(self, callee: str, caller: str, asked: Asked) -> bool:
        """Whether the callee's own sidecar lets the caller in with what it gets; nobody is where there is no callee."""
        if callee not in self.services:
            return False
        service, mode = self.services[callee], self._authorization["mode"]
        if self._authorization.get("audit"):
            return True
        if any(_takes(rule, caller, asked, rule.get("paths", [])) for rule in service.get("deny", ())):
            return False
        if mode == "declared" and (caller, callee) not in self._declared:
            return False
        if "allow" not in service:
            return bool(mode != "explicit")
        return any(_takes(rule, caller, asked, rule.get("paths", [])) for rule in service["allow"])


def _arrivals(service: Document, name: str, caller: str, asked: Asked) -> Iterator[tuple[str, Asked]]:
    """To whom the caller's sidecar sends a request for ``service`` and copies of it, and what these get."""
    for route in service.get("routes", [{}]):
        matches = route.get("matches", [{}])
        if not any(_takes(each, caller, asked, [each["path"]] if "path" in each else []) for each in matches):
            continue
        if "respond" not in route:
            seen = asked._replace(path=route.get("rewrite", {"path": {"full": asked.path}})["path"]["full"])
            backends = [each["service"] for each in route.get("backends", ()) if each.get("weight", 1)]
            for callee in (*(backends or [name]), *(each["service"] for each in route.get("mirror", ()))):
                yield callee, seen
        return


def _takes(conditions: Document, caller: str, asked: Asked, paths: list[Document]) -> bool:
    return (
        ("from" not in conditions or bool({caller, "*"} & {*conditions["from"]}))
        and ("methods" not in conditions or asked.method in conditions["methods"])
        and ("headers" not in conditions or conditions["headers"]["x-a"] in asked.x_a)
        and (not paths or any(_is_below(asked.path, each) for each in paths))
    )


def _is_below(path: str, written: Document) -> bool:
    if "exact" in written:
        return path == str(written["exact"])
    prefix = str(written["prefix"]).rstrip("/")
    return path == prefix or path.startswith(f"{prefix}/")


def _declared(services: Document) -> set[Pair]:
    """Calls that are listed, and what routes of those who are called lead on to."""
    found = set()
    for caller, its in services.items():
        for listed in its["calls"]:
            found.add((caller, listed))
            for route in services[listed].get("routes", ()):
                matches = route.get("matches", [{}])
                if any(caller in each.get("from", [caller]) for each in matches):
                    onward = (*route.get("backends", ()), *route.get("mirror", ()))
                    found |= {(caller, each["service"]) for each in onward}
    return found
