"""Host names that a spec may hold, and what a request must show of each; as in literals.py."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from tests.behaviour.client import Answer
from tests.behaviour.literals import NOTHING, WORDS, Case, Mesh, responds
from tests.behaviour.tables import Row

LETTERS = "abcxyz0189"
INNER = f"{LETTERS}-"
LONGEST = ".".join(("a" * 63, "b" * 63, "c" * 63, "d" * 61))
"""A whole name, of 253 characters."""


Right = Callable[[Answer, dict[str, Any]], bool]


def _label(draw: random.Random, longest: int = 12) -> str:
    inside = "".join(draw.choice(INNER) for _ in range(draw.randint(0, longest - 2)))
    return f"{draw.choice(LETTERS)}{inside}{draw.choice(LETTERS)}"


def _tails(draw: random.Random, count: int) -> Iterator[str]:
    """Names that some label can stand before: words, words of several labels, and the longest."""
    # What ends in digits is an address.
    yield from (each for each in WORDS if not each.isdigit())
    for _ in range(count):
        labels = [draw.choice([_label(draw), *WORDS]) for _ in range(draw.randint(1, 3))]
        yield ".".join([*labels, draw.choice(["example", "x", "a1", "xn--p1ai", f"{_label(draw)}z"])])
    # Room for `*.w99.`, and for the labels that a request puts before it.
    yield LONGEST[40:]


def _neighbours(draw: random.Random, host: str) -> Iterator[str]:
    """Names that differ from ``host`` in one place; each dot is one of them, for a pattern takes it for any letter."""
    spots = [index for index, letter in enumerate(host) if letter not in "-."]
    for index in (draw.choice(spots), host.index(".")):
        yield host[:index] + draw.choice(LETTERS.replace(host[index], "")) + host[index + 1 :]
    yield f"{host}z"
    yield f"z{host}"
    yield f"{host}.z"


def _asked(draw: random.Random, name: str) -> tuple[list[str], list[str]]:
    """Hosts that ``name``, which may be a wildcard, takes, and hosts that it does not."""
    if not name.startswith("*."):
        return [name, f"{name.upper()}.:80"], [*_neighbours(draw, name), f"one.{name}"]
    below = name.removeprefix("*.")
    within = f"{_label(draw)}.{below}"
    # What is changed before the wildcard's part is still below it.
    others = [f"one.{each}" for each in _neighbours(draw, below) if not each.startswith("z")]
    return [within, f"two.{within}", f"{within.upper()}.:80"], [below, f"z{below}", f"one-{below}", *others]


def _names(draw: random.Random, count: int) -> Iterator[str]:
    """Exact names and wildcards; by its number each is far from all others, whatever is changed in its tail."""
    for number, tail in enumerate(_tails(draw, count)):
        yield f"e{number}.{tail}"
        yield f"*.w{number}.{tail}"
    yield LONGEST


def route_hostnames(mesh: Mesh, draw: random.Random, count: int) -> None:
    for name in _names(draw, count):
        answers = {"respond": {"status": 200, "body": name}}
        mesh.routes.append({"name": f"hosts-{len(mesh.routes)}", "hostnames": [name], **answers})
        hosts, others = _asked(draw, name)
        body = name.encode()
        mesh.cases.extend(Case(Row("", NOTHING, host=each), responds(200, body), name) for each in hosts)
        for each in others:
            mesh.cases.append(Case(Row("", NOTHING, host=each), responds(404 if "." in each else 403), name))


def gateway_hostnames(mesh: Mesh, draw: random.Random, count: int) -> None:
    """Some with a route of their own, the others with the one for all."""
    for name in _names(draw, count):
        own, mesh.hostnames = draw.random() < 0.5, [*mesh.hostnames, name]
        if own:
            answers = {"respond": {"status": 200, "body": name}}
            mesh.gateway_routes.append(
                {"name": f"hosts-{len(mesh.hostnames)}", "hostnames": [name], **answers}
            )
        hosts, others = _asked(draw, name)
        body = name.encode() if own else b"rest"
        for each in hosts:
            mesh.cases.append(Case(_to_gateway(each), responds(200, body), name))
        mesh.cases.extend(Case(_to_gateway(each), responds(404), name) for each in others)


def _to_gateway(host: str) -> Row:
    return Row("", NOTHING, via="gateway", to="edge/1", host=host)


def new_hostnames(mesh: Mesh, draw: random.Random, count: int) -> None:
    for name in (*_tails(draw, count), LONGEST):
        for kind in ("redirect", "rewrite"):
            path = f"/host{len(mesh.routes)}"
            match = {"matches": [{"path": {"exact": path}}]}
            mesh.routes.append({"name": f"{kind}-{len(mesh.routes)}", **match, kind: {"hostname": name}})
            right = _located(f"http://{name}{path}") if kind == "redirect" else _seen(name)
            mesh.cases.append(Case(Row("", NOTHING, target=path), right, name))


def _located(location: str) -> Right:
    return lambda answer, _: answer.status == 302 and answer.values("location") == [location]


def _seen(name: str) -> Right:
    def right(_: Answer, arrived: dict[str, Any]) -> bool:
        hosts = [value for one in arrived["seen"] for key, value in one["headers"] if key.lower() == "host"]
        return hosts == [name]

    return right


PLACES = (route_hostnames, gateway_hostnames, new_hostnames)
